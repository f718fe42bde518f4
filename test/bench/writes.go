package bench

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/kubernetes"
)

// Writes counts requests to the API server that changed something, by verb and resource, such as "PATCH services/status".
type Writes map[string]int

// ReadWrites asks the API server how many there were since it started.
func ReadWrites(ctx context.Context, c kubernetes.Interface) (Writes, error) {
	text, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	return parseWrites(string(text))
}

var label = regexp.MustCompile(`(\w+)="([^"]*)"`)

func parseWrites(text string) (Writes, error) {
	w := Writes{}
	for line := range strings.Lines(text) {
		labels, ok := strings.CutPrefix(line, "apiserver_request_total{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(labels, "} ")
		if !ok {
			return nil, fmt.Errorf("unexpected line of metrics: %q", line)
		}
		by := map[string]string{}
		for _, m := range label.FindAllStringSubmatch(labels, -1) {
			by[m[1]] = m[2]
		}
		switch by["verb"] {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE":
		default:
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return nil, fmt.Errorf("unexpected line of metrics: %w", err)
		}
		what := by["verb"] + " " + by["resource"]
		if by["subresource"] != "" {
			what += "/" + by["subresource"]
		}
		w[what] += int(n)
	}
	return w, nil
}

// Since returns what came after earlier.
func (w Writes) Since(earlier Writes) Writes {
	now := maps.Clone(w)
	for what := range now {
		now[what] -= earlier[what]
	}
	maps.DeleteFunc(now, func(_ string, n int) bool { return n == 0 })
	return now
}

// Sorted yields the most frequent first.
func (w Writes) Sorted() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		names := slices.SortedFunc(maps.Keys(w), func(a, b string) int { return cmp.Or(w[b]-w[a], cmp.Compare(a, b)) })
		for _, name := range names {
			if !yield(name, w[name]) {
				return
			}
		}
	}
}

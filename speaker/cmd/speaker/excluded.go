package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	// defaultExcluded is where MetalLB's speaker looks for the links that are never used on layer 2, and excludedKey the key in that file.
	defaultExcluded = "/etc/metallb/excludel2.yaml"
	excludedKey     = "announcedInterfacesToExclude"
	// excludedPause is between looks at the file. A kubelet takes up to a minute to bring a ConfigMap to its node.
	excludedPause = 10 * time.Second
)

// defaultPatterns is MetalLB's list, for where there is no file: links that container networks and runtimes make, which no neighbor is on.
const defaultPatterns = `announcedInterfacesToExclude: ["^docker.*", "^cbr.*", "^dummy.*", "^virbr.*", "^lxcbr.*", "^veth.*", "^lo$", "^cali.*", "^tunl.*", "^flannel.*",
"^kube-ipvs.*", "^cni.*", "^nodelocaldns.*", "^lxc.*"]`

// excluded is the file with the links that are never used on layer 2.
type excluded struct {
	path string
	log  *slog.Logger
	// content is that of the file when it was last looked at, and trouble what was wrong with it.
	content []byte
	trouble string
	inForce []*regexp.Regexp
}

// newExcluded reads the file at the path.
func newExcluded(ctx context.Context, path string, log *slog.Logger) *excluded {
	e := &excluded{path: path, log: log, content: []byte(defaultPatterns)}
	e.inForce, _ = parseExcluded(e.content) // a test shows that nothing is wrong with it
	e.look(ctx)
	return e
}

// look reads the file, and returns whether another list is in force. A file that cannot be used changes nothing, and where there is none, the
// default is in force.
func (e *excluded) look(ctx context.Context) (changed bool) {
	content, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		content, err = []byte(defaultPatterns), nil
	}
	if err == nil && string(content) == string(e.content) {
		return false
	}
	var patterns []*regexp.Regexp
	if err == nil {
		e.content = content
		patterns, err = parseExcluded(content)
	}
	e.say(ctx, err)
	if patterns == nil {
		return false
	}
	e.inForce = patterns
	e.log.InfoContext(ctx, "links that layer 2 leaves alone", "op", "links", "file", e.path, "excluded", fmt.Sprint(patterns))
	return true
}

// say logs what is wrong with the file, once.
func (e *excluded) say(ctx context.Context, err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != e.trouble {
		e.log.ErrorContext(ctx, "the links to leave alone are not all as the file wants; what can be used of it is in force, or else what was before",
			"op", "links", "file", e.path, "error", trouble)
	}
	e.trouble = trouble
}

// follow calls changed with every other list that comes into force, until ctx ends.
func (e *excluded) follow(ctx context.Context, changed func([]*regexp.Regexp)) {
	tick := time.NewTicker(excludedPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if e.look(ctx) {
			changed(e.inForce)
		}
	}
}

// parseExcluded reads the list from YAML. It returns what can be used, nil when there is no list, and an error that names everything else.
func parseExcluded(content []byte) ([]*regexp.Regexp, error) {
	var fields map[string]json.RawMessage
	if err := yaml.Unmarshal(content, &fields); err != nil {
		return nil, fmt.Errorf("wanted YAML with the list %s: %w", excludedKey, err)
	}
	raw, ok := fields[excludedKey]
	delete(fields, excludedKey)
	var wrong []error
	for key := range fields {
		wrong = append(wrong, fmt.Errorf("found the field %s: wanted %s only", key, excludedKey))
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if !ok {
		return nil, errors.Join(append(wrong, fmt.Errorf("%s is missing: wanted a list of regular expressions, [] for no link", excludedKey))...)
	}
	var texts []string
	if err := json.Unmarshal(raw, &texts); err != nil || texts == nil {
		return nil, errors.Join(append(wrong, fmt.Errorf("%s is %s: wanted a list of regular expressions, [] for no link", excludedKey, raw))...)
	}
	patterns := []*regexp.Regexp{}
	for i, text := range texts {
		pattern, err := regexp.Compile(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s[%d] is %q, which is left out: wanted a regular expression: %w", excludedKey, i, text, err))
			continue
		}
		patterns = append(patterns, pattern)
	}
	return patterns, errors.Join(wrong...)
}

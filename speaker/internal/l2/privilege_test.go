package l2_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/test/segment"
	"github.com/seed-551707bd/metallb-operator/test/uml"
)

// asResponder in the environment makes the test binary a responder for these addresses: capabilities are those of a process, as goroutines go
// from thread to thread.
const asResponder = "L2_TEST_ANSWER_FOR"

func TestMain(m *testing.M) {
	if list := os.Getenv(asResponder); list != "" {
		if err := beResponder(list); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(uml.Main(m))
}

// beResponder prints what it observes, a line whenever that changes, until it is killed.
func beResponder(list string) error {
	var addresses []netip.Addr
	for text := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		addresses = append(addresses, a)
	}
	r := l2.New(l2.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	r.Apply(entries(addresses...))
	go func() {
		for range r.Changed() {
			_ = json.NewEncoder(os.Stdout).Encode(r.Observed())
		}
	}()
	r.Run(context.Background())
	return nil
}

// responderWith starts a responder in a host as root with these capabilities and no way to others, as the speaker's container has it, and returns
// what it observes.
func responderWith(t *testing.T, h *segment.Host, capabilities string, addresses ...netip.Addr) *bufio.Scanner {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, a := range addresses {
		list = append(list, a.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "setpriv", "--bounding-set", "-all"+capabilities, "--inh-caps", "-all", "--ambient-caps", "-all", "--no-new-privs", self)
	cmd.Env = append(os.Environ(), asResponder+"="+strings.Join(list, ","))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.Do(cmd.Start)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return bufio.NewScanner(out)
}

// await reads until every address is observed as it should be.
func await(t *testing.T, lines *bufio.Scanner, what string, is func(l2.Observed) bool) {
	t.Helper()
	for lines.Scan() {
		var observed []l2.Observed
		if err := json.Unmarshal(lines.Bytes(), &observed); err != nil {
			t.Fatal(err)
		}
		if len(observed) > 0 && !slices.ContainsFunc(observed, func(o l2.Observed) bool { return !is(o) }) {
			return
		}
	}
	t.Fatalf("the addresses are never %s: %v", what, lines.Err())
}

// docs/security.md says that the speaker has NET_RAW for this, and nothing else.
func TestGivenTheSpeakersCapabilitiesWhenItAnswersThenNetRawSufficesAndIsNeeded(t *testing.T) {
	s := segment.New(t)
	node, peer := s.Host("192.0.2.1/24", "2001:db8::1/64"), s.Host("192.0.2.2/24", "2001:db8::2/64")
	c := newClient(t, peer)
	await(t, responderWith(t, node, ",+net_raw", four, six), "answered with NET_RAW", answeredOn("eth0"))
	c.answers(mac(node, "eth0"), four, six)

	await(t, responderWith(t, s.Host("192.0.2.3/24", "2001:db8::3/64"), "", other4, other6), "refused without NET_RAW", func(o l2.Observed) bool {
		return len(o.Links) == 0 && slices.ContainsFunc(o.Problems, func(p string) bool { return strings.Contains(p, "operation not permitted") })
	})
}

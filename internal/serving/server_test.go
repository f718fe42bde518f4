package serving

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// served is a server of probes, and of profiles if pprof is an address, whose checks fail with what they are told.
type served struct {
	*testing.T
	server      *Server
	live, ready error
}

func newServed(t *testing.T, pprof string) *served {
	t.Helper()
	s := &served{T: t}
	check := func(name string, is *error) healthz.Handler {
		return healthz.Handler{Checks: map[string]healthz.Checker{name: func(*http.Request) error { return *is }}}
	}
	var err error
	s.server, err = (&Endpoints{PprofAddress: pprof}).Listen(t.Context(), &rest.Config{Host: "http://127.0.0.1:1"}, "127.0.0.1", check("loop", &s.live), check("frr", &s.ready))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run returns how to end a run, and what it ends with.
func (s *served) run(work func(context.Context) error) (stop func(), ended <-chan error) {
	ctx, cancel := context.WithCancel(s.Context())
	result := make(chan error, 1)
	go func() { result <- s.server.Run(ctx, work) }()
	s.Cleanup(cancel)
	return cancel, result
}

// get asks the server of that number for a path.
func (s *served) get(server int, path string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.server.plain[server].listener.Addr().String()+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (s *served) expect(server int, path string, status int, text string) {
	s.Helper()
	if got, body, err := s.get(server, path); err != nil || got != status || !strings.Contains(body, text) {
		s.Errorf("%s: %d %q, error %v: wanted %d %q", path, got, body, err, status, text)
	}
}

// untilTold is work that ends when it is told to.
func untilTold(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestGivenChecksWhenProbedThenEachPathAnswersForItsOwn(t *testing.T) {
	s := newServed(t, "127.0.0.1:0")
	s.ready = errors.New("no answer")
	stop, ended := s.run(untilTold)
	s.expect(0, "/healthz", http.StatusOK, "ok")
	s.expect(0, "/healthz/loop", http.StatusOK, "ok")
	s.expect(0, "/readyz", http.StatusInternalServerError, "[-]frr failed")
	s.expect(0, "/readyz/", http.StatusInternalServerError, "[-]frr failed")
	s.expect(0, "/readyz/frr", http.StatusInternalServerError, "no answer")
	s.expect(0, "/readyz/loop", http.StatusNotFound, "")
	s.expect(0, "/debug/pprof/", http.StatusNotFound, "")
	s.expect(1, "/debug/pprof/", http.StatusOK, "goroutine")
	s.expect(1, "/debug/pprof/cmdline", http.StatusOK, "serving")
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if _, _, err := s.get(0, "/healthz"); err == nil {
		t.Error("probes are still served")
	}
}

func TestGivenNoAddressForProfilesWhenServedThenThereAreOnlyProbes(t *testing.T) {
	if s := newServed(t, ""); len(s.server.plain) != 1 || s.server.plain[0].name != "health probe" {
		t.Errorf("served: %+v", s.server.plain)
	}
}

func TestGivenTheEndWhenWorkHandsOverThenItIsServedUntilWorkIsDone(t *testing.T) {
	s := newServed(t, "")
	handing, done := make(chan struct{}), make(chan struct{})
	stop, ended := s.run(func(ctx context.Context) error {
		<-ctx.Done()
		close(handing)
		<-done
		return nil
	})
	stop()
	<-handing
	s.expect(0, "/healthz", http.StatusOK, "ok")
	close(done)
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestGivenWorkThatFailsWhenRunThenThatEndsAll(t *testing.T) {
	s := newServed(t, "")
	fault := errors.New("it is broken")
	_, ended := s.run(func(context.Context) error { return fault })
	if err := <-ended; !errors.Is(err, fault) {
		t.Errorf("ended with %v, want %v", err, fault)
	}
}

func TestGivenAServerThatFailsWhenRunThenWorkIsToldToEnd(t *testing.T) {
	s := newServed(t, "")
	if err := s.server.plain[0].listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, ended := s.run(untilTold)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "serve health probe") {
		t.Errorf("ended with %v", err)
	}
}

func TestGivenWorkThatDoesNotEndWhenToldToThenItIsLeftBehind(t *testing.T) {
	s := newServed(t, "")
	s.server.handover = time.Millisecond
	done := make(chan struct{})
	defer close(done)
	stop, ended := s.run(func(context.Context) error {
		<-done
		return nil
	})
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "not all had ended 1ms later") {
		t.Errorf("ended with %v", err)
	}
}

func TestGivenAPortThatIsTakenWhenListeningThenTheErrorSaysFor(t *testing.T) {
	taken := newServed(t, "").server.plain[0].listener.Addr().String()
	_, err := (&Endpoints{PprofAddress: taken}).Listen(t.Context(), &rest.Config{Host: "http://127.0.0.1:1"}, "127.0.0.1", healthz.Handler{}, healthz.Handler{})
	if err == nil || !strings.Contains(err.Error(), "listen for pprof") {
		t.Errorf("error %v", err)
	}
}

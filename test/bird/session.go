package bird

import (
	"fmt"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/lab/bird"
)

// Session returns the state of the session of that name in the configuration.
func (i *Instance) Session(tb testing.TB, name string) bird.Session {
	tb.Helper()
	out, err := i.Birdc(tb.Context(), bird.SessionsCommand)
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	s, ok := bird.ParseSessions(out)[name]
	if !ok {
		tb.Fatalf("BIRD has no session %s:\n%s", name, out)
	}
	return s
}

// AwaitSession waits until a session is up.
func (i *Instance) AwaitSession(tb testing.TB, name string) {
	tb.Helper()
	frr.Eventually(tb, frr.Patience, func() error {
		if s := i.Session(tb, name); s.State != "Established" {
			return fmt.Errorf("session %s is %+v", name, s)
		}
		return nil
	})
}

// Routes lists what BIRD was sent and holds.
func (i *Instance) Routes(tb testing.TB) []bird.Route {
	tb.Helper()
	out, err := i.Birdc(tb.Context(), bird.RoutesCommand)
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	routes, err := bird.ParseRoutes(out)
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return routes
}

package publish

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
)

func TestGivenWhatHappensToFRRWhenItIsToldThenTheConfigurationStateHasItAndAFirstStartIsNoNews(t *testing.T) {
	p := &Publisher{Options: Options{Node: "n1", Namespace: "ns", Metrics: NewMetrics("n1", func() uint64 { return 0 })}, away: map[string]bool{}}
	p.events = newEventSender(nil, "n1", slog.New(slog.NewTextHandler(t.Output(), nil)))
	for _, e := range []frr.Event{
		{Kind: frr.DaemonUp, Daemon: "bgpd"},
		{Kind: frr.DaemonDown, Daemon: "bgpd", Detail: "does not answer"},
		{Kind: frr.DaemonUp, Daemon: "bgpd"},
		{Kind: frr.DaemonUp, Daemon: "bgpd"},
		{Kind: frr.DriftRepaired, Detail: "x"},
		{Kind: frr.DriftRemains, Detail: "y"},
	} {
		p.Observe(e)
	}
	var told []string
	for _, n := range p.events.queue {
		kind, key := n.object()
		told = append(told, fmt.Sprint(kind.Kind, " ", key, " ", n.reason, " ", n.warning, " ", n.message))
	}
	const about = "ConfigurationState ns/speaker-n1 "
	if want := []string{
		about + "daemonDown true FRR's bgpd does not answer",
		about + "daemonUp false FRR's bgpd is back and runs what is wanted",
		about + "driftRepaired true FRR did not run what it was told, and was put right by these commands: x",
		about + "driftRemains true FRR does not run what it was told, and could not be put right: y",
	}; !slices.Equal(told, want) {
		t.Errorf("told\n%q, want\n%q", told, want)
	}
}

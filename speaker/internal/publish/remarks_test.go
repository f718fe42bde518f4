package publish

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

func TestGivenRemarksOnAServiceWhenTheyAreNewThenTheLogHasThemAndTheNodeThatTellsSendsOneEvent(t *testing.T) {
	remarks := func(here bool) []announce.Remark {
		return []announce.Remark{{Reason: announce.Reason{Code: announce.RemarkNotAllowed, Detail: "metallb.io/bgp-med is refused"}, Here: here}}
	}
	decided := func(with []announce.Remark) announce.Node {
		v4, v6 := yes("web", "10.0.0.1", "tor"), yes("web", "2001:db8::1", "tor")
		v4.Remarks, v6.Remarks = with, with
		return verdicts(v4, v6)
	}
	for _, row := range []struct {
		before, after announce.Node
		logged, sent  int
	}{
		{announce.Node{}, decided(remarks(true)), 1, 1},
		{announce.Node{}, decided(remarks(false)), 1, 0},
		{decided(remarks(true)), decided(remarks(true)), 0, 0},
		{decided(remarks(true)), decided(nil), 0, 0},
	} {
		var out bytes.Buffer
		p := &Publisher{Options: Options{Log: slog.New(slog.NewTextHandler(&out, nil))}}
		p.events = newEventSender(nil, "n1", p.Log)
		p.remark(t.Context(), row.before, row.after)
		if logged := strings.Count(out.String(), "event=attributeNotAllowed service=default/web"); logged != row.logged {
			t.Errorf("%d lines, wanted %d:\n%s", logged, row.logged, out.String())
		}
		if len(p.events.queue) != row.sent || row.sent == 1 && (!p.events.queue[0].warning || p.events.queue[0].reason != "attributeNotAllowed") {
			t.Errorf("events are %+v, wanted %d", p.events.queue, row.sent)
		}
	}
}

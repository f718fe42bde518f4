package sent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// rangeReport is reportOf with a third peer, the routers of a range.
func rangeReport(prefixes ...string) node.Report {
	r := reportOf(prefixes...)
	router := &r.Node.BGP.Routers[0]
	router.Neighbors = append(router.Neighbors, announce.Neighbor{
		Peer: intent.Peer{Name: "c", ListenRange: netip.MustParsePrefix("203.0.113.0/24")}, Policies: []announce.Policy{{Tag: tag}},
	})
	return r
}

// said returns what is said of a peer and an address.
func said(tracker *Tracker, peer, address string) (a Answer) {
	tracker.Lookup(func(of func(string, netip.Addr) Answer) { a = of(peer, netip.MustParseAddr(address)) })
	return a
}

func TestGivenARangeWhenRoutersComeAndGoThenEachOfThemCounts(t *testing.T) {
	run(t, func(t *testing.T, b *bgpd, tracker *Tracker) {
		t.Helper()
		const one, two, address = "203.0.113.1", "203.0.113.2", "198.51.100.1"
		comes := func(router string, prefixes ...string) {
			b.set(func(b *bgpd) {
				b.up[router], b.sent[router], b.group[router] = time.Now(), prefixes, "listen:c"
			})
			b.shown(tracker)
			time.Sleep(time.Second)
		}
		b.set(func(b *bgpd) { b.group = map[string]string{} })
		tracker.Publish(rangeReport(address + "/32"))
		b.shown(tracker)
		time.Sleep(time.Second)
		expect(t, tracker, "c", address, Unknown) // a router may be about to connect
		time.Sleep(grace + lastPause)
		expect(t, tracker, "c", address, Down)

		comes(one, address+"/32")
		expect(t, tracker, "c", address, Sent)
		comes(two)
		expect(t, tracker, "c", address, Unknown) // bgpd may be about to send it
		time.Sleep(searchLimit + lastPause)
		expect(t, tracker, "c", address, NotSent)
		if a := said(tracker, "c", address); a.Router != two || !a.Range {
			t.Errorf("said %+v, want it about the router that lacks the route", a)
		}
		b.set(func(b *bgpd) { b.sent[two] = []string{address + "/32", "198.51.100.2/32"} })
		b.set(func(b *bgpd) { b.sent[one] = b.sent[two] })
		tracker.Publish(rangeReport(address+"/32", "198.51.100.2/32"))
		time.Sleep(time.Second)
		expect(t, tracker, "c", "198.51.100.2", Sent)
		if a := said(tracker, "c", address); a.Router != one+","+two {
			t.Errorf("said %+v, want both routers named", a)
		}

		b.set(func(b *bgpd) { delete(b.up, one) })
		b.shown(tracker)
		time.Sleep(time.Second)
		if a := said(tracker, "c", address); a.State != Sent || a.Router != two {
			t.Errorf("said %+v, want only the router that is left", a)
		}
		b.set(func(b *bgpd) { delete(b.up, two) })
		b.shown(tracker)
		time.Sleep(time.Second)
		expect(t, tracker, "c", address, Unknown)
		time.Sleep(grace + lastPause)
		expect(t, tracker, "c", address, Down)

		comes(one, address+"/32")
		tracker.Publish(reportOf(address + "/32"))
		time.Sleep(time.Second)
		expect(t, tracker, "c", address, Unknown) // there is no such peer any more
	})
}

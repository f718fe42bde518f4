package probe

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// The steps of askEverywhere, with the change between them.
func TestGivenALinkThatGoesAwayWhileAskedOnWhenDoneThenTheProbeFailed(t *testing.T) {
	rows := map[string]struct {
		change func(*segment.Host) error
		want   string
	}{
		"switched off": {func(h *segment.Host) error { return h.LinkSetDown(h.Get("eth0")) }, "it is down now"},
		"removed":      {func(h *segment.Host) error { return h.LinkDel(h.Get("eth0")) }, "it was removed meanwhile"},
		"unplugged":    {func(h *segment.Host) error { return h.LinkSetDown(h.Get("peer")) }, "it has no carrier now"},
		"changed": {func(h *segment.Host) error { return h.LinkSetHardwareAddr(h.Get("eth0"), []byte{2, 0, 0, 0, 0, 9}) },
			"its hardware address has become 02:00:00:00:00:09"},
	}
	for name, row := range rows {
		for _, address := range []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")} {
			t.Run(name+", "+address.String(), func(t *testing.T) {
				// Both ends of the cable are in the node, so that the test can pull it; nobody is at the other.
				h := segment.NewHost(t)
				h.Add(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer"})
				h.Up("peer")
				h.Give("eth0", "192.0.2.1/24", "2001:db8::1/64")
				h.Do(func() error {
					n, err := link.Read()
					if err != nil {
						return err
					}
					eth0 := n.Links[slices.IndexFunc(n.Links, func(l link.Link) bool { return l.Name == "eth0" })]
					c, err := listen(eth0, n.MACs(), []netip.Addr{address})
					if err != nil {
						return err
					}
					if err := row.change(h); err != nil {
						return err
					}
					c.hold(t.Context())
					got := answers{place{eth0.Index, address.Is4()}: c.answers}
					doubt(n, got)
					r := merge(address, []link.Link{eth0}, got)
					if r.State != Failed || r.Link != "eth0" || !strings.Contains(r.Message, "cannot ask on eth0: ") || !strings.Contains(r.Message, row.want) {
						t.Errorf("%+v, want that it failed: %s", r, row.want)
					}
					return nil
				})
			})
		}
	}
}

func TestGivenAnswersOfTwoLinksWhenMergedThenAClaimCountsMoreThanAFailureAndThatMoreThanSilence(t *testing.T) {
	address := netip.MustParseAddr("192.0.2.10")
	links := []link.Link{{Index: 1, Name: "eth0"}, {Index: 2, Name: "eth1"}}
	silence, claim := answer{}, answer{claimed: true, message: "has it"}
	failure := answer{err: netlink.ErrDumpInterrupted}
	for name, row := range map[string]struct {
		first, second answer
		want          State
		link          string
	}{
		"silence":             {silence, silence, Free, "eth0"},
		"a claim":             {silence, claim, InUse, "eth1"},
		"a failure":           {failure, silence, Failed, "eth0"},
		"a failure, a claim":  {failure, claim, InUse, "eth1"},
		"a claim, a failure":  {claim, failure, InUse, "eth0"},
		"silence, then error": {silence, failure, Failed, "eth1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := answers{place{1, true}: {address: row.first}, place{2, true}: {address: row.second}}
			if r := merge(address, links, got); r.State != row.want || r.Link != row.link {
				t.Errorf("%+v, want %s on %s", r, row.want, row.link)
			}
		})
	}
	if r := merge(address, links, answers{}); r.State != Failed {
		t.Errorf("%+v where nothing was asked, want that it failed", r)
	}
}

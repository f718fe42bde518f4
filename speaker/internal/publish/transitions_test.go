package publish

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// event is that an address begins or ceases to be announced.
type event struct {
	service  ipam.ServiceKey
	address  netip.Addr
	protocol announce.Protocol
	begins   bool
}

// events are those that lead from one decision to another, worked out one address at a time.
func events(before, after announce.Node) map[event]bool {
	all := map[event]bool{}
	for begins, nodes := range map[bool][2]announce.Node{true: {before, after}, false: {after, before}} {
		for _, v := range nodes[1].Verdicts {
			if v.Announce && !slices.ContainsFunc(nodes[0].Verdicts, func(o *announce.Verdict) bool {
				return o.Announce && o.Service == v.Service && o.Address == v.Address && o.Protocol == v.Protocol
			}) {
				all[event{v.Service, v.Address, v.Protocol, begins}] = true
			}
		}
	}
	return all
}

// drawNode draws a decision; some of its verdicts are the very ones of an earlier one, as the speaker's are.
func drawNode(t *rapid.T, earlier announce.Node) announce.Node {
	var node announce.Node
	for i := range 5 {
		for j := range rapid.IntRange(0, 2).Draw(t, "addresses") {
			v := &announce.Verdict{Service: svc(fmt.Sprintf("s%d", i)), Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(j)}), Pool: "pool",
				Protocol: rapid.SampledFrom([]announce.Protocol{announce.ProtocolBGP, announce.ProtocolLayer2}).Draw(t, "protocol"),
				Announce: rapid.Bool().Draw(t, "announce")}
			if !v.Announce {
				v.Reason = announce.Reason{Code: announce.ReasonNoEndpoints, Detail: "because"}
			}
			if at := slices.IndexFunc(earlier.Verdicts, func(o *announce.Verdict) bool { return gocmp.Equal(o, v, equateAddresses) }); at >= 0 {
				v = earlier.Verdicts[at]
			}
			node.Verdicts = append(node.Verdicts, v)
		}
	}
	return node
}

var equateAddresses = cmpopts.EquateComparable(netip.Addr{})

func TestGivenAnyTwoDecisionsWhenComparedThenEachAddressThatChangesIsInOneLineAndTheyAreSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawNode(t, announce.Node{})
		after := drawNode(t, before)
		lines, got := transitions(before, after), map[event]bool{}
		for _, l := range lines {
			for _, ip := range l.ips {
				e := event{l.service, ip, l.protocol, l.reason == announce.ReasonNone}
				if got[e] {
					t.Fatalf("%+v is in two lines", e)
				}
				got[e] = true
			}
		}
		if diff := gocmp.Diff(events(before, after), got, equateAddresses, gocmp.AllowUnexported(event{})); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		if !slices.IsSortedFunc(lines, func(a, b line) int {
			return cmp.Or(compareServices(a.service, b.service), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.reason, b.reason))
		}) {
			t.Fatalf("lines are not sorted: %+v", lines)
		}
	})
}

// BenchmarkTransitions measures finding the one Service of many that has come.
func BenchmarkTransitions(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var after announce.Node
			for i := range n {
				after.Verdicts = append(after.Verdicts, yes(fmt.Sprintf("s-%05d", i), fmt.Sprintf("10.0.%d.%d", i/250, i%250), "tor"))
			}
			before := announce.Node{Verdicts: slices.Delete(slices.Clone(after.Verdicts), n/2, n/2+1)}
			b.ReportAllocs()
			for b.Loop() {
				if len(transitions(before, after)) != 1 {
					b.Fatal("wanted one line")
				}
			}
		})
	}
}

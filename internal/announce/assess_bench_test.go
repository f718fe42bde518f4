package announce_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// BenchmarkAssess measures the judgement of one Service: of one that is announced, and of one that is not, for which every node is asked what it
// would do.
func BenchmarkAssess(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000} {
		in := large(5000, true)
		in.Nodes = nil
		for i := range nodes {
			in.Nodes = append(in.Nodes, announce.NodeInfo{Name: fmt.Sprintf("node-%04d", i)})
		}
		silent := everybody(&in)
		sending := *silent
		sending.Routes = []announce.Route{{Node: "node-0001", Peers: []string{"tor-0"}, Sent: []announce.Delivery{{Peer: "tor-0"}}}}
		survey := announce.NewSurvey(in)
		b.Run(fmt.Sprintf("nodes=%d/announced=false", nodes), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				svc := &in.Services[i%len(in.Services)]
				if a := announce.Assess(svc, silent, func() []announce.View { return survey.Of(svc.Key, []*announce.Service{svc}) }); a.Announced == announce.Yes {
					b.Fatalf("%+v", a)
				}
			}
		})
		b.Run(fmt.Sprintf("nodes=%d/announced=true", nodes), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				svc := &in.Services[i%len(in.Services)]
				sending.Routes[0].Sent[0].Addresses = []netip.Addr{svc.Addresses[0]}
				if a := announce.Assess(svc, &sending, nil); a.Announced != announce.Yes {
					b.Fatalf("%+v", a)
				}
			}
		})
	}
}

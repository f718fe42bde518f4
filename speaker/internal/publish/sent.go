package publish

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/sent"
)

// Sent knows what routers were sent; *sent.Tracker is one.
type Sent interface {
	// Lookup calls f with a function that tells what the router of a BGPPeer was sent.
	Lookup(f func(of func(peer string, address netip.Addr) sent.Answer))
	// News has an element when that may have changed.
	News() <-chan struct{}
}

// delivery is what one router was sent of a Service's addresses.
type delivery struct {
	peer string
	// addresses are those that it was sent, sorted and separated by commas: as text, which many Services' deliveries keep in little memory.
	addresses string
	// since is when the last of them was, in seconds of the Unix epoch. Of a delivery that is wished for it is when the session came up: what was
	// said to have been sent before that is out of date.
	since int64
	// reason says why others are missing, router is FRR's name of the neighbor then.
	reason v1beta1.BGPSentReason
	router string
	// routers are those of a range that were sent all of addresses, separated by commas; "" where the BGPPeer names one router.
	routers string
	// unknown says that it is not known what the router was sent, so that what was said of it stays.
	unknown bool
}

// clockSlack is how far the time of a session may be from that of its routes: bgpd tells the former in whole seconds.
const clockSlack = 2

// upToDate tells whether what an object says is still what is to be said.
func (d *delivery) upToDate(wished *delivery) bool {
	return wished.unknown || d.addresses == wished.addresses && d.reason == wished.reason && d.routers == wished.routers && (d.addresses == "" || d.since >= wished.since-clockSlack)
}

// delivered tells whether what an object says of all routers is still what is to be said.
func delivered(said, wished []delivery) bool {
	for i := range wished {
		if j := indexOf(said, wished[i].peer); j < 0 && !wished[i].unknown || j >= 0 && !said[j].upToDate(&wished[i]) {
			return false
		}
	}
	return !slices.ContainsFunc(said, func(d delivery) bool { return indexOf(wished, d.peer) < 0 })
}

func indexOf(list []delivery, peer string) int {
	return slices.IndexFunc(list, func(d delivery) bool { return d.peer == peer })
}

// settleDeliveries returns what to say from now on.
func settleDeliveries(said, wished []delivery, now time.Time) []delivery {
	var out []delivery
	for _, w := range wished {
		i := indexOf(said, w.peer)
		switch {
		case i >= 0 && said[i].upToDate(&w):
			router := w.router
			w = said[i]
			w.router = router
		case w.unknown:
			continue
		default:
			w.since = now.Unix()
		}
		out = append(out, w)
	}
	return out
}

// readDeliveries reads a status.
func readDeliveries(list []v1beta1.BGPSent) []delivery {
	if len(list) == 0 {
		return nil
	}
	out := make([]delivery, len(list))
	for i, s := range list {
		out[i] = delivery{peer: s.Peer, addresses: strings.Join(s.Addresses, ","), routers: strings.Join(s.Routers, ","), reason: s.Reason}
		if s.Since != nil {
			out[i].since = s.Since.Unix()
		}
	}
	return out
}

// statusOf is what a status says of deliveries.
func statusOf(list []delivery) []v1beta1.BGPSent {
	var out []v1beta1.BGPSent
	for i := range list {
		d := &list[i]
		s := v1beta1.BGPSent{Peer: d.peer, Reason: d.reason, Message: d.message()}
		if d.addresses != "" {
			s.Addresses = strings.Split(d.addresses, ",")
			s.Since = &metav1.Time{Time: time.Unix(d.since, 0)}
		}
		if d.routers != "" {
			s.Routers = strings.Split(d.routers, ",")
		}
		out = append(out, s)
	}
	return out
}

func (d *delivery) message() string {
	router := d.router
	if router == "" {
		router = "the router"
	}
	switch d.reason {
	case v1beta1.BGPSentSessionDown:
		return fmt.Sprintf("the session with %s is not Established: its BGPSessionState says more", router)
	case v1beta1.BGPSentNotSent:
		return fmt.Sprintf("the session with %s is Established, but FRR does not send it a route: it does not carry the address family, or something in FRR's configuration filters it", router)
	}
	return ""
}

// deliver adds to wishes what routers were sent.
func deliver(to wishes, verdicts []*announce.Verdict, known Sent) {
	if known == nil {
		return
	}
	split := of // its name is taken below
	known.Lookup(func(of func(string, netip.Addr) sent.Answer) {
		for len(verdicts) > 0 {
			var these []*announce.Verdict
			key := verdicts[0].Service
			these, verdicts = split(key, verdicts)
			if w, ok := to[key]; ok {
				w.sent = deliveries(w.names, these, of)
				to[key] = w
			}
		}
	})
}

// deliveries returns what the routers of the peers were sent of one Service's addresses.
func deliveries(peers []string, verdicts []*announce.Verdict, of func(string, netip.Addr) sent.Answer) []delivery {
	out := make([]delivery, 0, len(peers))
	for _, peer := range peers {
		d := delivery{peer: peer}
		var addresses []string
		for _, v := range verdicts {
			if !v.Announce || v.Protocol != announce.ProtocolBGP || !slices.Contains(v.Peers, peer) {
				continue
			}
			a := of(peer, v.Address)
			d.router = a.Router
			switch a.State {
			case sent.Sent:
				addresses, d.since = append(addresses, v.Address.String()), a.Since.Unix()
				if a.Range {
					d.routers = a.Router
				}
			case sent.Down:
				d.reason = v1beta1.BGPSentSessionDown
			case sent.NotSent:
				d.reason = v1beta1.BGPSentNotSent
			default:
				d.unknown = true
			}
		}
		if d.reason != "" {
			d.routers = ""
		}
		d.addresses = strings.Join(addresses, ",")
		out = append(out, d)
	}
	return out
}

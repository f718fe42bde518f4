package publish

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// peersOf returns, for each Service of which an address is announced by BGP, the BGPPeers that get one, sorted.
func peersOf(node announce.Node) map[ipam.ServiceKey][]string {
	peers := map[ipam.ServiceKey][]string{}
	for _, v := range node.Verdicts {
		if !v.Announce || v.Protocol != announce.ProtocolBGP {
			continue
		}
		have, ok := peers[v.Service]
		switch {
		case !ok:
			peers[v.Service] = v.Peers
		case !slices.Equal(have, v.Peers):
			peers[v.Service] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(have, v.Peers))))
		}
	}
	return peers
}

// line is what is logged of one Service, protocol and reason: addresses of one pool begin or cease to be announced.
type line struct {
	service  ipam.ServiceKey
	protocol announce.Protocol
	pool     string
	// reason is empty for addresses that are announced from now on.
	reason announce.ReasonCode
	detail string
	ips    []netip.Addr
	peers  []string
}

// transitions compares what was announced with what is, and returns a line for each Service and reason, sorted.
func transitions(before, after announce.Node) []line {
	var lines []line
	was, is := before.Verdicts, after.Verdicts
	for {
		same := 0
		for same < min(len(was), len(is)) && was[same] == is[same] {
			same++
		}
		if same == len(was) && same == len(is) {
			return lines
		}
		service := first(was[same:], is[same:])
		for same > 0 && was[same-1].Service == service {
			same-- // a Service is compared as a whole
		}
		var old, now []*announce.Verdict
		old, was = of(service, was[same:])
		now, is = of(service, is[same:])
		lines = append(lines, changes(old, now)...)
	}
}

// first returns the Service of the first verdict of two sorted lists, at least one of which has some.
func first(a, b []*announce.Verdict) ipam.ServiceKey {
	switch {
	case len(a) == 0:
		return b[0].Service
	case len(b) == 0 || compareServices(a[0].Service, b[0].Service) < 0:
		return a[0].Service
	default:
		return b[0].Service
	}
}

// of splits the verdicts on a Service, with which the list begins if it has any, from the rest.
func of(service ipam.ServiceKey, list []*announce.Verdict) (these, rest []*announce.Verdict) {
	n := 0
	for n < len(list) && list[n].Service == service {
		n++
	}
	return list[:n], list[n:]
}

func compareServices(a, b ipam.ServiceKey) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// changes compares the verdicts on one Service.
func changes(before, after []*announce.Verdict) []line {
	lines := map[lineKey]*line{}
	for _, v := range after {
		if v.Announce && !announces(before, v) {
			add(lines, v, announce.ReasonNone, "")
		}
	}
	for _, v := range before {
		if v.Announce && !announces(after, v) {
			code, detail := reasonFor(v, after)
			add(lines, v, code, detail)
		}
	}
	sorted := slices.SortedFunc(maps.Values(lines), func(a, b *line) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.reason, b.reason), cmp.Compare(a.pool, b.pool))
	})
	out := make([]line, len(sorted))
	for i, l := range sorted {
		slices.SortFunc(l.ips, netip.Addr.Compare)
		out[i] = *l
	}
	return out
}

// announces tells whether the verdicts on the same Service announce the same address over the same protocol.
func announces(verdicts []*announce.Verdict, as *announce.Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v *announce.Verdict) bool {
		return v.Announce && v.Address == as.Address && v.Protocol == as.Protocol
	})
}

// lineKey tells the lines of one Service apart.
type lineKey struct {
	protocol announce.Protocol
	pool     string
	reason   announce.ReasonCode
}

func add(lines map[lineKey]*line, v *announce.Verdict, reason announce.ReasonCode, detail string) {
	key := lineKey{v.Protocol, v.Pool, reason}
	l := lines[key]
	if l == nil {
		l = &line{service: v.Service, protocol: v.Protocol, pool: v.Pool, reason: reason, detail: detail, peers: v.Peers}
		lines[key] = l
	}
	l.ips = append(l.ips, v.Address)
}

// Reasons that only the comparison of two nodes knows, in the words of MetalLB's log.
const (
	reasonServiceDeleted announce.ReasonCode = "serviceDeleted"
	reasonAddressChanged announce.ReasonCode = "loadBalancerIPChanged"
)

// reasonFor finds out why an address is not announced any more, from the present verdicts on its Service.
func reasonFor(gone *announce.Verdict, verdicts []*announce.Verdict) (announce.ReasonCode, string) {
	if len(verdicts) == 0 {
		return reasonServiceDeleted, "the Service is deleted, or no longer of this type and class"
	}
	for _, v := range verdicts {
		if v.Address == gone.Address && v.Protocol == gone.Protocol {
			return v.Reason.Code, v.Reason.Detail
		}
	}
	for _, v := range verdicts {
		if v.Address.IsValid() {
			return reasonAddressChanged, "the Service has another address now"
		}
	}
	return announce.ReasonNoAddress, "the Service has no address any more"
}

// log writes a transition in the form that MetalLB's users parse.
func (l *line) log(ctx context.Context, log *slog.Logger) {
	ips := make([]string, len(l.ips))
	for i, ip := range l.ips {
		ips[i] = ip.String()
	}
	if l.reason == announce.ReasonNone {
		log.InfoContext(ctx, "service has IP, announcing", "event", "serviceAnnounced", "service", l.service.String(), "ips", ips,
			"pool", l.pool, "protocol", l.protocol, "peers", l.peers)
		return
	}
	log.InfoContext(ctx, "withdrawing service announcement", "event", "serviceWithdrawn", "service", l.service.String(), "ip", ips,
		"pool", l.pool, "protocol", l.protocol, "reason", l.reason, "detail", l.detail)
}

package publish

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// routed returns, for each Service of which an address is announced by BGP, the BGPPeers that get one, sorted.
func routed(node announce.Node) wishes {
	peers := wishes{}
	for _, v := range node.Verdicts {
		if !v.Announce || v.Protocol != announce.ProtocolBGP {
			continue
		}
		have, ok := peers[v.Service]
		switch {
		case !ok:
			peers[v.Service] = wish{names: v.Peers}
		case !slices.Equal(have.names, v.Peers):
			peers[v.Service] = wish{names: slices.Compact(slices.Sorted(slices.Values(slices.Concat(have.names, v.Peers))))}
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
	// from is the node that announced the first address by layer 2 before, and to the one that does from now on; "" for none.
	from, to string
}

// transitions compares what was announced with what is, and returns a line for each Service and reason, sorted.
func transitions(before, after announce.Node) []line {
	var lines []line
	for old, now := range differences(before, after) {
		lines = append(lines, changes(old, now)...)
	}
	return lines
}

// differences goes through the Services on which not all verdicts are the very same, in order, with the verdicts before and after.
func differences(before, after announce.Node) iter.Seq2[[]*announce.Verdict, []*announce.Verdict] {
	return func(yield func(old, now []*announce.Verdict) bool) {
		was, is := before.Verdicts, after.Verdicts
		for {
			same := 0
			for same < min(len(was), len(is)) && was[same] == is[same] {
				same++
			}
			if same == len(was) && same == len(is) {
				return
			}
			service := first(was[same:], is[same:])
			for same > 0 && was[same-1].Service == service {
				same-- // a Service is compared as a whole
			}
			var old, now []*announce.Verdict
			old, was = of(service, was[same:])
			now, is = of(service, is[same:])
			if !yield(old, now) {
				return
			}
		}
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
			add(lines, v, announce.ReasonNone, "").from = ownerOf(before, v)
		}
	}
	for _, v := range before {
		if v.Announce && !announces(after, v) {
			code, detail := reasonFor(v, after)
			add(lines, v, code, detail).to = ownerOf(after, v)
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

// ownerOf returns who announces the same address by layer 2, according to verdicts on the same Service.
func ownerOf(verdicts []*announce.Verdict, as *announce.Verdict) string {
	i := slices.IndexFunc(verdicts, func(v *announce.Verdict) bool { return v.Address == as.Address && v.Protocol == as.Protocol })
	if i < 0 {
		return ""
	}
	return verdicts[i].Owner
}

// lineKey tells the lines of one Service apart.
type lineKey struct {
	protocol announce.Protocol
	pool     string
	reason   announce.ReasonCode
}

func add(lines map[lineKey]*line, v *announce.Verdict, reason announce.ReasonCode, detail string) *line {
	key := lineKey{v.Protocol, v.Pool, reason}
	l := lines[key]
	if l == nil {
		l = &line{service: v.Service, protocol: v.Protocol, pool: v.Pool, reason: reason, detail: detail, peers: v.Peers}
		lines[key] = l
	}
	l.ips = append(l.ips, v.Address)
	return l
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
		switch {
		case v.Address != gone.Address:
		case v.Reason.Code == announce.ReasonNotAllowed: // in no pool, it cannot be announced in any way
			return v.Reason.Code, v.Reason.Detail
		default:
			return announce.ReasonNoAdvertisement, "no advertisement over this protocol is for the address any more"
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
		attrs := []any{"event", "serviceAnnounced", "service", l.service.String(), "ips", ips, "pool", l.pool, "protocol", l.protocol}
		if l.protocol == announce.ProtocolBGP {
			attrs = append(attrs, "peers", l.peers)
		}
		if l.from != "" {
			attrs = append(attrs, "from", l.from)
		}
		log.InfoContext(ctx, "service has IP, announcing", attrs...)
		return
	}
	attrs := []any{"event", "serviceWithdrawn", "service", l.service.String(), "ip", ips, "pool", l.pool, "protocol", l.protocol,
		"reason", l.reason, "detail", l.detail}
	if l.to != "" {
		attrs = append(attrs, "to", l.to)
	}
	log.InfoContext(ctx, "withdrawing service announcement", attrs...)
}

// logHeld says at the level debug why this node does not answer for addresses, when that has changed. That another node does is no news.
func logHeld(ctx context.Context, log *slog.Logger, before, after announce.Node) {
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for old, now := range differences(before, after) {
		for _, v := range now {
			if v.Protocol != announce.ProtocolLayer2 || v.Announce || v.Reason.Code == announce.ReasonNotOwner || holds(old, v) {
				continue
			}
			log.DebugContext(ctx, "not answering for an address", "event", "skipping should announce l2", "service", v.Service.String(),
				"ip", v.Address.String(), "pool", v.Pool, "protocol", v.Protocol, "reason", v.Reason.Code, "detail", v.Reason.Detail)
		}
	}
}

// holds tells whether the verdicts on the same Service give the same reason for the same address and protocol.
func holds(verdicts []*announce.Verdict, as *announce.Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v *announce.Verdict) bool {
		return v.Address == as.Address && v.Protocol == as.Protocol && v.Reason.Code == as.Reason.Code
	})
}

package intent

import (
	"fmt"
	"net/netip"
)

// maxListenLimit is the most dynamic neighbors that FRR takes for its limit.
const maxListenLimit = 65535

// targetField names the field that the peer's family follows from.
func (p *Peer) targetField() string {
	if p.Listens() {
		return "spec.listenRange"
	}
	return "spec.peerAddress"
}

// listen checks a peer that is a range of routers which open the session themselves. What is about how the node connects has no meaning there, so
// it is refused.
func (a *about) listen(p *Peer, raw *RawPeer) {
	if limit := raw.ListenLimit; limit != nil {
		if *limit < 1 || *limit > maxListenLimit {
			a.invalid(RuleListenLimit, "spec.listenLimit", fmt.Sprint(*limit), fmt.Sprintf("must be 1 to %d, or left out", maxListenLimit))
		} else {
			p.ListenLimit = uint16(*limit)
		}
		if raw.ListenRange == "" {
			a.invalid(RuleListenLimit, "spec.listenLimit", fmt.Sprint(*limit), "is for spec.listenRange: remove it")
		}
	}
	if raw.ListenRange == "" {
		return
	}
	const field = "spec.listenRange"
	prefix, err := netip.ParsePrefix(raw.ListenRange)
	switch {
	case err != nil || prefix != prefix.Masked() || prefix.Addr().Is4In6():
		a.invalid(RuleListenRange, field, quote(raw.ListenRange), "must be a prefix without host bits such as 192.0.2.0/24 or 2001:db8::/64")
	case prefix.Addr().IsMulticast() || prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast():
		a.invalid(RuleListenRange, field, quote(raw.ListenRange), "must be addresses of hosts that are no link-local ones of IPv6: FRR accepts those by spec.interface only")
	default:
		p.ListenRange = prefix
	}
	for _, other := range []struct {
		rule         Rule
		field, found string
	}{{RulePeerTarget, "spec.peerAddress", raw.PeerAddress}, {RulePeerTarget, "spec.interface", raw.Interface}} {
		if other.found != "" {
			a.invalid(other.rule, field, quote(raw.ListenRange), fmt.Sprintf("give exactly one of spec.peerAddress, spec.interface and spec.listenRange: %s is %s", other.field, quote(other.found)))
		}
	}
	a.notListening(raw)
}

// notListening refuses what a range cannot have: what says how the node connects, and what FRR 8.4 and 10.3 take and do not do.
func (a *about) notListening(raw *RawPeer) {
	const connects = "has no meaning with spec.listenRange, where the router connects and not the node; remove it"
	if raw.ConnectTime != nil {
		a.invalid(RuleListenField, "spec.connectTime", raw.ConnectTime.String(), connects)
	}
	if raw.PeerPort != 0 && raw.PeerPort != defaultPort {
		a.invalid(RuleListenField, "spec.peerPort", fmt.Sprint(raw.PeerPort), connects)
	}
	if raw.SourceAddress != "" {
		a.invalid(RuleListenField, "spec.sourceAddress", quote(raw.SourceAddress), connects)
	}
	if len(raw.SourceAddresses) > 0 {
		a.invalid(RuleListenField, "spec.sourceAddresses", fmt.Sprintf("%d entries", len(raw.SourceAddresses)), connects)
	}
	if raw.SourceInterface != "" {
		a.invalid(RuleListenField, "spec.sourceInterface", quote(raw.SourceInterface), connects)
	}
	if raw.VRF != "" && (!raw.Password.IsZero() || raw.PasswordSecret != "") {
		a.invalid(RuleListenField, "spec.vrf", quote(raw.VRF), "must not be given together with spec.listenRange and a password: FRR listens in a VRF without the password when bgpd starts; remove one of them")
	}
	if raw.EnableGracefulRestart {
		a.invalid(RuleListenField, "spec.enableGracefulRestart", "true", "FRR does not offer it to routers that connect by themselves; remove it")
	}
}

// accepts tells whether the nodes accept what the peer is to open.
func (b *builder) accepts(a *about, p *Peer) bool {
	if !p.Listens() || b.listens {
		return true
	}
	a.unresolved(RuleListenPort, "spec.listenRange", p.ListenRange.String(),
		"the nodes accept no session that a router opens: set spec.bgpListenPort of the MetalLB object, such as 179; no session is opened before")
	return false
}

// target is what tells a peer's sessions from those of another.
func (p *Peer) target() (field, found string) {
	switch {
	case p.Listens():
		return "spec.listenRange", p.ListenRange.String()
	case p.Interface != "":
		return "spec.interface", quote(p.Interface)
	default:
		return "spec.peerAddress", p.Address.String()
	}
}

// meets tells whether two peers in one VRF would have a session with the same router. An address within a range is no such case: the peer that
// names the address has that router, and the range all others.
func (p *Peer) meets(o *Peer) bool {
	if p.Listens() || o.Listens() {
		return p.ListenRange.IsValid() && o.ListenRange.IsValid() && p.ListenRange.Overlaps(o.ListenRange)
	}
	return p.Address == o.Address && p.Interface == o.Interface
}

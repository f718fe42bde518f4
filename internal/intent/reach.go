package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// maxTTL is the greatest TTL of an IP packet, maxSecurityHops the most hops that FRR's ttl-security takes.
const (
	maxTTL          = 255
	maxSecurityHops = 254
)

// multiHopTTL takes spec.ebgpMultiHopTTL, which implies spec.ebgpMultiHop.
func (a *about) multiHopTTL(p *Peer, raw *RawPeer, internal bool) {
	if raw.EBGPMultiHopTTL == nil {
		return
	}
	const field = "spec.ebgpMultiHopTTL"
	ttl := *raw.EBGPMultiHopTTL
	found := fmt.Sprint(ttl)
	switch {
	case ttl < 1 || ttl > maxTTL:
		a.invalid(RuleMultiHop, field, found, fmt.Sprintf("must be 1 to %d, or left out", maxTTL))
		return
	case internal:
		a.invalid(RuleMultiHop, field, found, "iBGP sessions have no hop limit; remove it")
	case raw.Interface != "":
		a.invalid(RuleMultiHop, field, found, "spec.interface is "+quote(raw.Interface)+", and what is found by its link-local address is one hop away; remove it")
	}
	// A TTL of 1 is that of every other eBGP session.
	p.EBGPMultiHop, p.TTL = ttl > 1, uint8(ttl)
	if ttl == 1 {
		p.TTL = 0
	}
}

// securityHops takes spec.ttlSecurityHops (GTSM, RFC 5082).
func (a *about) securityHops(p *Peer, raw *RawPeer) {
	if raw.TTLSecurityHops == nil {
		return
	}
	const field = "spec.ttlSecurityHops"
	hops := *raw.TTLSecurityHops
	found := fmt.Sprint(hops)
	switch {
	case hops < 1 || hops > maxSecurityHops:
		a.invalid(RuleTTLSecurity, field, found, fmt.Sprintf("must be 1 to %d, or left out", maxSecurityHops))
		return
	case raw.EBGPMultiHop || raw.EBGPMultiHopTTL != nil:
		a.invalid(RuleTTLSecurity, field, found, "must not be given together with spec.ebgpMultiHop or spec.ebgpMultiHopTTL: it allows the hops that it names by itself")
	case raw.Interface != "" && hops > 1:
		a.invalid(RuleTTLSecurity, field, found, "must be 1: spec.interface is "+quote(raw.Interface)+", and what is found by its link-local address is one hop away")
	}
	p.SecurityHops = uint8(hops)
}

// source checks where the session comes from.
func (a *about) source(p *Peer, raw *RawPeer) {
	const (
		address  = "spec.sourceAddress"
		nic      = "spec.sourceInterface"
		oneKind  = "give one kind of source: spec.sourceInterface, or spec.sourceAddress and spec.sourceAddresses"
		fromPort = "has no effect: a session by spec.interface comes from that interface"
	)
	p.SourceAddress = a.sourceAddress(p, address, raw.SourceAddress)
	a.nodeSources(p, raw.SourceAddresses)
	if raw.SourceInterface != "" {
		p.SourceInterface = raw.SourceInterface
		switch _, err := netip.ParseAddr(raw.SourceInterface); {
		case raw.SourceAddress != "" || len(raw.SourceAddresses) > 0:
			a.invalid(RuleSourceAddress, nic, quote(raw.SourceInterface), oneKind)
		case err == nil || !isFRRDevice(raw.SourceInterface):
			a.invalid(RuleSourceAddress, nic, quote(raw.SourceInterface), wantedFRRDevice)
		}
	}
	if raw.Interface == "" {
		return
	}
	if raw.SourceInterface != "" || len(raw.SourceAddresses) > 0 {
		a.invalid(RuleSourceAddress, "spec.interface", quote(raw.Interface), "comes from that interface: spec.sourceInterface and spec.sourceAddresses are for sessions by spec.peerAddress")
		return
	}
	if p.SourceAddress.IsValid() {
		// FRR takes the line and forgets it, so it must not be written.
		a.warn(RuleSourceAddress, address, quote(raw.SourceAddress), fromPort)
		p.SourceAddress = netip.Addr{}
	}
}

// sourceAddress parses the address that the session comes from, "" for none.
func (a *about) sourceAddress(p *Peer, field, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	addr := a.address(RuleSourceAddress, field, text)
	if addr.IsValid() && p.Address.IsValid() && addr.Is4() != p.Address.Is4() {
		a.invalid(RuleSourceAddress, field, quote(text), "must be of the same address family as spec.peerAddress "+p.Address.String())
	}
	return addr
}

// nodeSources takes spec.sourceAddresses.
func (a *about) nodeSources(p *Peer, list []RawNodeSource) {
	named := map[string]int{}
	for i, raw := range list {
		field := item("spec.sourceAddresses", i)
		s := NodeSource{Node: raw.NodeName}
		switch {
		case (raw.NodeName == "") == (raw.NodeSelector == nil):
			a.invalid(RuleSourceAddress, field, "", "give exactly one of nodeName and nodeSelector")
		case raw.NodeSelector != nil:
			s.Nodes = a.selector(field+".nodeSelector", *raw.NodeSelector)
		default:
			if j, ok := named[raw.NodeName]; ok {
				a.invalid(RuleDuplicateEntry, field+".nodeName", quote(raw.NodeName), "must not repeat "+item("spec.sourceAddresses", j))
			}
			named[raw.NodeName] = i
		}
		if raw.Address == "" {
			a.invalid(RuleSourceAddress, field+".address", "", "must be an IPv4 or IPv6 address such as 192.0.2.10")
		}
		s.Address = a.sourceAddress(p, field+".address", raw.Address)
		p.Sources = append(p.Sources, s)
	}
}

// receive takes spec.toReceive.
func (a *about) receive(p *Peer, raw *RawReceive) Receive {
	var r Receive
	if raw == nil {
		return r
	}
	const mode, prefixes = "spec.toReceive.allowed.mode", "spec.toReceive.allowed.prefixes"
	switch raw.Mode {
	case "", "filtered":
		if len(raw.Prefixes) == 0 {
			a.warn(RuleReceive, prefixes, "", "names no routes, so none is accepted")
		}
	case "all":
		r.All = true
		if len(raw.Prefixes) > 0 {
			a.invalid(RuleReceive, prefixes, fmt.Sprintf("%d entries", len(raw.Prefixes)), "must be empty where mode is all, which accepts every route")
		}
	default:
		a.invalid(RuleReceive, mode, quote(raw.Mode), "must be all or filtered")
	}
	for i := range raw.Prefixes {
		one, ok := a.receivePrefix(item(prefixes, i), &raw.Prefixes[i])
		if !ok {
			continue
		}
		r.Prefixes = append(r.Prefixes, one)
		if v4 := one.Prefix.Addr().Is4(); p.Remote().IsValid() && p.Remote().Is4() != v4 && !p.DualStack {
			a.warn(RuleReceive, item(prefixes, i), one.Prefix.String(), "has no effect: the session carries the address family of "+p.targetField()+" unless spec.dualStackAddressFamily is true")
		}
	}
	slices.SortFunc(r.Prefixes, ReceivePrefix.Compare)
	r.Prefixes = slices.Compact(r.Prefixes)
	return r
}

// Compare orders by prefix, then by lengths.
func (r ReceivePrefix) Compare(o ReceivePrefix) int {
	return cmp.Or(r.Prefix.Addr().Compare(o.Prefix.Addr()), cmp.Compare(r.Prefix.Bits(), o.Prefix.Bits()), cmp.Compare(r.Shortest, o.Shortest), cmp.Compare(r.Longest, o.Longest))
}

// receivePrefix takes one entry of spec.toReceive.allowed.prefixes.
func (a *about) receivePrefix(field string, raw *RawReceivePrefix) (one ReceivePrefix, ok bool) {
	prefix, err := netip.ParsePrefix(raw.Prefix)
	if err != nil || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
		a.invalid(RuleReceive, field+".prefix", quote(raw.Prefix), "must be a prefix without host bits such as 10.0.0.0/8 or 2001:db8::/32")
		return one, false
	}
	longest := prefix.Addr().BitLen()
	one = ReceivePrefix{Prefix: prefix, Shortest: prefix.Bits(), Longest: prefix.Bits()}
	for _, bound := range []struct {
		name  string
		value *uint32
	}{{".ge", raw.GE}, {".le", raw.LE}} {
		if bound.value != nil && (*bound.value < uint32(prefix.Bits()) || *bound.value > uint32(longest)) {
			a.invalid(RuleReceive, field+bound.name, fmt.Sprint(*bound.value), fmt.Sprintf("must be %d to %d, the length of prefix and that of an address", prefix.Bits(), longest))
			return one, false
		}
	}
	if raw.GE != nil {
		one.Shortest, one.Longest = int(*raw.GE), longest
	}
	if raw.LE != nil {
		one.Longest = int(*raw.LE)
	}
	if one.Shortest > one.Longest {
		a.invalid(RuleReceive, field+".ge", fmt.Sprint(one.Shortest), fmt.Sprintf("must not be greater than le, which is %d", one.Longest))
		return one, false
	}
	return one, true
}

package intent

import (
	"fmt"
	"net/netip"
	"time"
	"unicode"
	"unicode/utf8"
)

// parsedPeer is a peer that is valid by itself; what it refers to is looked up when it is put to use.
type parsedPeer struct {
	// Peer holds everything but a password that comes from a Secret.
	Peer Peer
	// Secret is the name of the Secret with the password, "" for none.
	Secret string
	// Profile is the BFD profile as it was when the peer was last in force.
	Profile BFDProfile
}

// defaultPort is BGP's TCP port (RFC 4271 section 8.2.1), maxPort the highest one that the API allows.
const (
	defaultPort = 179
	maxPort     = 16384
)

// maxTimer is the longest time that fits BGP's timers.
const maxTimer = 65535 * time.Second

// parsePeer checks a BGPPeer by itself.
func parsePeer(a *about, raw *RawPeer) parsedPeer {
	p := Peer{
		Name:            raw.Name,
		MyASN:           raw.MyASN,
		PeerASN:         raw.PeerASN,
		DynamicASN:      DynamicASN(raw.DynamicASN),
		Interface:       raw.Interface,
		Port:            raw.PeerPort,
		BFDProfile:      raw.BFDProfile,
		GracefulRestart: raw.EnableGracefulRestart,
		EBGPMultiHop:    raw.EBGPMultiHop,
		VRF:             raw.VRF,
		DualStack:       raw.DualStackAddressFamily,
		Password:        raw.Password,
		Nodes:           a.selectors("spec.nodeSelectors", raw.NodeSelectors),
	}
	a.peerASNs(&p, raw)
	a.peerTarget(&p, raw)
	p.Timers = a.timers(raw)
	p.ConnectTime = a.connectTime(raw.ConnectTime)
	p.RouterID = a.routerID(raw.RouterID)
	p.Receive = a.receive(&p, raw.ToReceive)
	if p.Port == 0 {
		p.Port = defaultPort
	}
	if p.Port > maxPort {
		a.invalid(RulePeerPort, "spec.peerPort", fmt.Sprint(p.Port), fmt.Sprintf("must be 1 to %d", maxPort))
	}
	a.peerPassword(raw)
	if raw.DisableMP {
		a.warn(RuleDisableMP, "spec.disableMP", "true", "has no effect and may be removed: the session carries the address family of its own addresses unless spec.dualStackAddressFamily is true")
	}
	return parsedPeer{Peer: p, Secret: raw.PasswordSecret}
}

// peerASNs checks everything about AS numbers.
func (a *about) peerASNs(p *Peer, raw *RawPeer) {
	if p.MyASN == 0 {
		a.invalid(RuleMyASN, "spec.myASN", "0", "must be the AS number of the nodes, 1 to 4294967295")
	}
	switch p.DynamicASN {
	case DynamicASNNone:
		if p.PeerASN == 0 {
			a.invalid(RulePeerASN, "spec.peerASN", "", "give either spec.peerASN or spec.dynamicASN: both are empty")
		}
	case DynamicASNInternal, DynamicASNExternal:
		if p.PeerASN != 0 {
			a.invalid(RulePeerASN, "spec.peerASN", fmt.Sprint(p.PeerASN), fmt.Sprintf("give either spec.peerASN or spec.dynamicASN, which is %s", quote(raw.DynamicASN)))
		}
	default:
		a.invalid(RuleDynamicASN, "spec.dynamicASN", quote(raw.DynamicASN), "must be internal or external")
	}
	internal := p.DynamicASN == DynamicASNInternal || (p.DynamicASN == DynamicASNNone && p.PeerASN == p.MyASN)
	if p.EBGPMultiHop && internal {
		found := fmt.Sprintf("true but spec.peerASN equals spec.myASN %d", p.MyASN)
		if p.DynamicASN == DynamicASNInternal {
			found = "true but spec.dynamicASN is internal"
		}
		a.invalid(RuleMultiHop, "spec.ebgpMultiHop", found, "iBGP sessions have no hop limit; remove it")
	}
	a.multiHopTTL(p, raw, internal)
	if raw.LocalASN != nil {
		p.LocalASN = a.localASN(p, *raw.LocalASN, internal)
	}
}

// localASN returns the AS number to show to the peer in place of the node's own, 0 for none.
func (a *about) localASN(p *Peer, asn uint32, internal bool) uint32 {
	const field = "spec.localASN"
	found := fmt.Sprint(asn)
	switch {
	case asn == 0:
		a.invalid(RuleLocalASN, field, found, "must be 1 to 4294967295, or left out")
	case asn == p.MyASN:
		a.warn(RuleLocalASN, field, found, "equals spec.myASN and so has no effect")
		return 0
	case internal || asn == p.PeerASN:
		a.invalid(RuleLocalASN, field, found, "is for eBGP sessions only, and must differ from spec.peerASN: FRR before version 10 refuses anything else")
	}
	return asn
}

// peerTarget checks whom the session goes to: address or interface, and the VRF.
func (a *about) peerTarget(p *Peer, raw *RawPeer) {
	switch {
	case raw.PeerAddress == "" && raw.Interface == "" && raw.ListenRange == "":
		a.invalid(RulePeerTarget, "spec.peerAddress", "", "give exactly one of spec.peerAddress, spec.interface and spec.listenRange: all are empty")
	case raw.PeerAddress != "" && raw.Interface != "":
		a.invalid(RulePeerTarget, "spec.peerAddress", quote(raw.PeerAddress), fmt.Sprintf("give either spec.peerAddress or spec.interface, which is %s", quote(raw.Interface)))
	}
	a.listen(p, raw)
	if raw.PeerAddress != "" {
		p.Address = a.address(RulePeerAddress, "spec.peerAddress", raw.PeerAddress)
	}
	if p.Address.IsLinkLocalUnicast() && p.Address.Is6() {
		a.invalid(RulePeerAddress, "spec.peerAddress", quote(raw.PeerAddress), "a link-local address is no address without its interface: give spec.interface instead")
	}
	if raw.Interface != "" {
		// FRR takes a neighbor that parses as an address for one.
		if _, err := netip.ParseAddr(raw.Interface); err == nil || !isFRRDevice(raw.Interface) {
			a.invalid(RuleInterface, "spec.interface", quote(raw.Interface), wantedFRRDevice)
		}
	}
	a.source(p, raw)
	a.securityHops(p, raw)
	switch {
	case raw.VRF == "":
	case raw.VRF == "default", raw.VRF == "all":
		a.invalid(RuleVRF, "spec.vrf", quote(raw.VRF), "FRR keeps this name for itself; leave spec.vrf out for the default routing table")
	case !isFRRDevice(raw.VRF):
		a.invalid(RuleVRF, "spec.vrf", quote(raw.VRF), wantedFRRDevice)
	}
}

// address parses the address of one end of a session.
func (a *about) address(rule Rule, field, text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil || addr.Zone() != "" || addr.Is4In6():
		a.invalid(rule, field, quote(text), "must be an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1")
	case addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		a.invalid(rule, field, quote(text), "must be the address of one host")
	default:
		return addr
	}
	return netip.Addr{}
}

// timers checks hold and keepalive time (RFC 4271 section 4.2). Where one is given, the other follows from it.
func (a *about) timers(raw *RawPeer) Timers {
	if raw.HoldTime == nil && raw.KeepaliveTime == nil {
		return Timers{}
	}
	t := Timers{Set: true}
	switch {
	case raw.KeepaliveTime == nil:
		t.Hold = raw.HoldTime.Truncate(time.Second)
		t.Keepalive = (t.Hold / 3).Truncate(time.Second)
	case raw.HoldTime == nil:
		t.Keepalive = raw.KeepaliveTime.Truncate(time.Second)
		t.Hold = 3 * min(t.Keepalive, maxTimer)
	default:
		t.Hold, t.Keepalive = raw.HoldTime.Truncate(time.Second), raw.KeepaliveTime.Truncate(time.Second)
	}
	if h := raw.HoldTime; h != nil && (*h < 0 || *h > 0 && *h < 3*time.Second || *h > maxTimer) {
		a.invalid(RuleHoldTime, "spec.holdTime", h.String(), "must be 0s, or 3s to 65535s")
		return t
	}
	if raw.KeepaliveTime != nil {
		a.keepalive(*raw.KeepaliveTime, t, raw.HoldTime == nil)
	}
	return t
}

// keepalive checks the keepalive time that was given, k, against the hold time in t, which follows from k if derived.
func (a *about) keepalive(k time.Duration, t Timers, derived bool) {
	const field = "spec.keepaliveTime"
	switch {
	case k < 0 || k > maxTimer || k > 0 && k < time.Second:
		a.invalid(RuleKeepaliveTime, field, k.String(), "must be 0s, or 1s to 65535s")
	case derived && t.Hold > maxTimer:
		a.invalid(RuleKeepaliveTime, field, k.String(), "must be at most 21845s where spec.holdTime is left out, which is then three times as long")
	case t.Keepalive > t.Hold:
		a.invalid(RuleKeepaliveTime, field, k.String(), fmt.Sprintf("must not be longer than spec.holdTime %s", t.Hold))
	case t.Keepalive == 0 && t.Hold > 0:
		a.invalid(RuleKeepaliveTime, field, k.String(), fmt.Sprintf("must be at least 1s: without keepalives the session ends after spec.holdTime %s", t.Hold))
	}
}

// connectTime checks the connect-retry timer.
func (a *about) connectTime(d *time.Duration) time.Duration {
	if d == nil {
		return 0
	}
	if *d < time.Second || *d > maxTimer || *d%time.Second != 0 {
		a.invalid(RuleConnectTime, "spec.connectTime", d.String(), "must be whole seconds, 1s to 65535s")
	}
	return *d
}

// routerID checks the BGP identifier, a number written as an IPv4 address (RFC 6286: any but 0).
func (a *about) routerID(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	id, err := netip.ParseAddr(text)
	if err != nil || !id.Is4() || id.IsUnspecified() {
		a.invalid(RuleRouterID, "spec.routerID", quote(text), "must be written as an IPv4 address such as 10.0.0.1, and not be 0.0.0.0")
		return netip.Addr{}
	}
	return id
}

// peerPassword checks the two ways of giving a password. The text itself never goes into a Problem.
func (a *about) peerPassword(raw *RawPeer) {
	if !raw.Password.IsZero() && raw.PasswordSecret != "" {
		a.invalid(RuleTwoPasswords, "spec.password", "set", "give either spec.password or spec.passwordSecret, which names "+quote(raw.PasswordSecret))
	}
	if found, wanted := unusablePassword(raw.Password); wanted != "" {
		a.invalid(RulePassword, "spec.password", found, wanted)
	}
	if ns := raw.PasswordSecretNamespace; raw.PasswordSecret != "" && ns != "" && ns != raw.Namespace {
		a.invalid(RuleSecretNamespace, "spec.passwordSecret.namespace", quote(ns), "must be the BGPPeer's own namespace "+quote(raw.Namespace)+", or left out")
	}
}

// maxPassword is the longest TCP-MD5 key that Linux takes (TCP_MD5SIG_MAXKEYLEN), and FRR with it.
const maxPassword = 80

// unusablePassword says what is wrong with a password; wanted is "" when nothing is. FRR takes a password as one word, so white space can't be
// part of it, and a line break would be another line of configuration.
func unusablePassword(password Secret) (found, wanted string) {
	text := password.Reveal()
	if len(text) > maxPassword {
		return fmt.Sprintf("%d bytes long", len(text)), fmt.Sprintf("must be at most %d bytes, the longest key of TCP MD5", maxPassword)
	}
	const visible = "must consist of visible characters only: FRR has no way to write anything else"
	if !utf8.ValidString(text) {
		return "not valid UTF-8", visible
	}
	for i, r := range text {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return fmt.Sprintf("a text with a space or control character at byte %d", i), visible
		}
	}
	return "", ""
}

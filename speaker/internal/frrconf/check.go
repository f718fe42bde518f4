package frrconf

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrsnippet"
)

// logLevels are those of FRR, which takes them from syslog.
const logLevels = " emergencies alerts critical errors warnings notifications informational debugging "

// maxPassword is TCP_MD5SIG_MAXKEYLEN of Linux, beyond which FRR refuses the line.
const maxPassword = 80

// maxPrepend is how many entries of a route-map are kept free for longer AS paths.
const maxPrepend = 10

// maxBandwidth is the most that FRR 8.4 takes, in Mbit/s.
const maxBandwidth = 25600

// check is the last fence: whatever a user has written, it stays within its word on its line. intent.Build refuses the same things on
// the object that holds them, without stopping the rest.
func check(bgp announce.BGP, o Options) error {
	if err := word("host name", o.Hostname); err != nil {
		return err
	}
	if o.LogLevel == "" || !strings.Contains(logLevels, " "+o.LogLevel+" ") {
		return fmt.Errorf("log level is %q: wanted one of%s", o.LogLevel, logLevels)
	}
	vrfs := map[string]bool{}
	for i := range bgp.Routers {
		r := &bgp.Routers[i]
		if vrfs[r.VRF] {
			return fmt.Errorf("there are two routers for VRF %q: wanted one", r.VRF)
		}
		vrfs[r.VRF] = true
		if err := checkRouter(r); err != nil {
			return err
		}
	}
	for _, p := range bgp.BFDProfiles {
		if err := word("BFDProfile: name", p.Name); err != nil {
			return err
		}
	}
	return checkSnippets(bgp.Snippets)
}

// checkSnippets keeps raw configuration within its section. What it says there is between its author and FRR.
func checkSnippets(snippets []announce.Snippet) error {
	names := map[string]bool{}
	for _, s := range snippets {
		switch {
		case s.Name == "" || strings.ContainsFunc(s.Name, unicode.IsControl) || names[s.Name]:
			return fmt.Errorf("raw configuration named %q: wanted a name of one line that no other has", s.Name)
		case s.Text != "" && !strings.HasSuffix(s.Text, "\n") || strings.ContainsAny(s.Text, "\x00\r") || !frrsnippet.Fit(s.Text):
			return fmt.Errorf("%s: wanted whole lines of raw configuration, without NUL, carriage returns and the comments that it stands between", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

func checkRouter(r *announce.Router) error {
	if r.ASN == 0 {
		return fmt.Errorf("the AS number of the router of VRF %q is 0: wanted 1 to 4294967295", r.VRF)
	}
	if r.RouterID.IsValid() && !r.RouterID.Unmap().Is4() {
		return fmt.Errorf("the router ID of VRF %q is %s: wanted an IPv4 address", r.VRF, r.RouterID)
	}
	known := map[announce.Tag]bool{}
	users := map[string]string{}
	for i := range r.Neighbors {
		n := &r.Neighbors[i]
		if err := checkNeighbor(n, r.VRF); err != nil {
			return fmt.Errorf("BGPPeer %q: %w", n.Name, err)
		}
		id := idOf(n)
		if other, taken := users[id]; taken {
			return fmt.Errorf("BGPPeers %s and %s both have a session with %s in VRF %q: wanted one session per address and VRF", other, n.Name, id, r.VRF)
		}
		users[id] = n.Name
		for _, p := range n.Policies {
			known[p.Tag] = true
		}
	}
	var last []announce.Tag // most prefixes have the same tags as the one before
	for i := range r.Prefixes {
		p := &r.Prefixes[i]
		if !p.Prefix.IsValid() || p.Prefix != p.Prefix.Masked() || len(p.Tags) == 0 {
			return fmt.Errorf("prefix %s with %d tags: wanted a prefix without host bits and at least one tag", p.Prefix, len(p.Tags))
		}
		if sameTags(p.Tags, last) {
			continue
		}
		last = p.Tags
		for _, t := range p.Tags {
			if !known[t] {
				return fmt.Errorf("prefix %s has the tag %s: wanted only tags that a neighbor in VRF %q has a policy for", p.Prefix, t, r.VRF)
			}
		}
	}
	return nil
}

func checkNeighbor(n *announce.Neighbor, vrf string) error {
	if err := word("name", n.Name); err != nil {
		return err
	}
	if n.VRF != vrf {
		return fmt.Errorf("vrf is %q: wanted %q, that of its router", n.VRF, vrf)
	}
	if n.VRF != "" {
		if err := word("vrf", n.VRF); err != nil {
			return err
		}
	}
	if err := checkRemote(n); err != nil {
		return err
	}
	if n.BFDProfile != "" {
		if err := word("bfdProfile", n.BFDProfile); err != nil {
			return err
		}
	}
	if err := address("sourceAddress", n.SourceAddress); err != nil {
		return err
	}
	if n.SourceInterface != "" {
		if err := word("sourceInterface", n.SourceInterface); err != nil {
			return err
		}
	}
	if err := checkReach(n); err != nil {
		return err
	}
	if err := checkPassword(n.Password.Reveal()); err != nil {
		return err
	}
	return checkPolicies(n.Policies)
}

// checkReach refuses what FRR would refuse of how a session gets to its peer, and prefixes that it would read as others.
func checkReach(n *announce.Neighbor) error {
	if n.SecurityHops > 0 && n.EBGPMultiHop {
		return fmt.Errorf("has ttlSecurityHops %d and ebgpMultiHop: wanted one of them", n.SecurityHops)
	}
	if n.SourceInterface != "" && n.SourceAddress.IsValid() {
		return fmt.Errorf("has sourceAddress %s and sourceInterface %q: wanted one of them", n.SourceAddress, n.SourceInterface)
	}
	for _, p := range n.Receive.Prefixes {
		if !p.Prefix.IsValid() || p.Prefix != p.Prefix.Masked() || p.Shortest < p.Prefix.Bits() || p.Longest < p.Shortest || p.Longest > p.Prefix.Addr().BitLen() {
			return fmt.Errorf("toReceive has %s of length %d to %d: wanted a prefix without host bits, and lengths from its own to that of an address", p.Prefix, p.Shortest, p.Longest)
		}
	}
	return nil
}

func checkPolicies(policies []announce.Policy) error {
	for i := range policies {
		p := &policies[i]
		if err := word("BGPAdvertisement", p.Advertisement); err != nil {
			return err
		}
		if err := checkPolicy(p); err != nil {
			return fmt.Errorf("BGPAdvertisement %s: %w", p.Advertisement, err)
		}
	}
	return nil
}

func checkPolicy(p *announce.Policy) error {
	for _, c := range p.Communities {
		if !c.Large && (c.A > 65535 || c.B > 65535) {
			return fmt.Errorf("community is %s: wanted two numbers up to 65535", c)
		}
	}
	for _, c := range p.ExtCommunities {
		if !isExtCommunity(c) {
			return fmt.Errorf("extended community is %q: wanted rt or soo, and one number up to 65535", c.String())
		}
	}
	switch {
	case strings.ContainsFunc(p.Variant, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("variant is %q: wanted one line", p.Variant)
	case p.LinkBandwidth > maxBandwidth:
		return fmt.Errorf("link bandwidth is %d: wanted up to %d", p.LinkBandwidth, maxBandwidth)
	case p.ASPathPrepend < 0 || p.ASPathPrepend > maxPrepend:
		return fmt.Errorf("asPathPrepend is %d: wanted 0 to %d", p.ASPathPrepend, maxPrepend)
	}
	return nil
}

// isExtCommunity tells whether FRR takes the value: six bytes for both parts (RFC 4360, RFC 5668).
func isExtCommunity(c intent.ExtCommunity) bool {
	long := c.ASN > 65535 || c.Address.IsValid()
	return (c.Kind == "rt" || c.Kind == "soo") && (c.Number <= 65535 || !long) && (!c.Address.IsValid() || c.Address.Is4())
}

func checkRemote(n *announce.Neighbor) error {
	switch {
	case n.Listens():
		if err := checkListening(n); err != nil {
			return err
		}
	case n.Interface == "" && !n.Address.IsValid():
		return fmt.Errorf("has neither peerAddress nor interface: wanted one of them")
	case n.Interface != "" && n.Address.IsValid():
		return fmt.Errorf("has peerAddress %s and interface %q: wanted one of them", n.Address, n.Interface)
	case n.Interface != "":
		if err := word("interface", n.Interface); err != nil {
			return err
		}
		if _, err := netip.ParseAddr(n.Interface); err == nil {
			return fmt.Errorf("interface is %q: wanted the name of an interface", n.Interface)
		}
	}
	switch n.DynamicASN {
	case intent.DynamicASNNone:
		if n.PeerASN == 0 {
			return fmt.Errorf("peerASN is 0: wanted 1 to 4294967295, or dynamicASN")
		}
	case intent.DynamicASNInternal, intent.DynamicASNExternal:
	default:
		return fmt.Errorf("dynamicASN is %q: wanted internal or external", n.DynamicASN)
	}
	return address("peerAddress", n.Address)
}

// checkListening refuses what FRR would refuse of a range, or would take and forget.
func checkListening(n *announce.Neighbor) error {
	switch {
	case n.Interface != "" || n.Address.IsValid():
		return fmt.Errorf("has listenRange %s and peerAddress or interface: wanted one of them", n.ListenRange)
	case n.ListenRange != n.ListenRange.Masked():
		return fmt.Errorf("listenRange is %s: wanted a prefix without host bits", n.ListenRange)
	case n.GracefulRestart:
		return fmt.Errorf("has listenRange %s and enableGracefulRestart: wanted one of them", n.ListenRange)
	case n.SourceAddress.IsValid() || n.SourceInterface != "" || n.ConnectTime != 0 || n.Port != 0 && n.Port != bgpPort:
		return fmt.Errorf("has listenRange %s and says how the node connects: wanted neither sourceAddress, sourceInterface, connectTime nor peerPort", n.ListenRange)
	}
	return nil
}

// word refuses what FRR would not read as one word, and what breaks the paths of its YANG models (quotes, backslashes) or of our names
// (slashes). What is left is more than any Kubernetes name and all that is usual in the name of an interface.
func word(field, value string) error {
	const allowed = "letters, digits and . _ : @ + = - only"
	if value == "" {
		return fmt.Errorf("%s is empty: wanted a word of %s", field, allowed)
	}
	for _, c := range []byte(value) {
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && !strings.ContainsRune("._:@+=-", rune(c)) {
			return fmt.Errorf("%s is %q: wanted %s", field, value, allowed)
		}
	}
	return nil
}

// address refuses zones: FRR knows no address with one.
func address(field string, a netip.Addr) error {
	if a.Zone() != "" {
		return fmt.Errorf("%s is %q: wanted an address without a zone", field, a.String())
	}
	return nil
}

// checkPassword refuses what FRR would not read as one word or is too long for TCP-MD5. It never prints the password.
func checkPassword(password string) error {
	if len(password) > maxPassword {
		return fmt.Errorf("password has %d bytes: wanted at most %d", len(password), maxPassword)
	}
	for _, c := range []byte(password) {
		if c <= ' ' || c == 0x7f {
			return fmt.Errorf("password contains a space or a control character: wanted none")
		}
	}
	return nil
}

package intent

import (
	"fmt"
	"slices"
)

// maxBFDName is the longest name of a profile that bgpd keeps whole (BFD_PROFILE_NAME_LEN in FRR, less the final NUL).
const maxBFDName = 63

// parseBFDProfile checks a BFDProfile by itself.
func parseBFDProfile(a *about, raw *RawBFDProfile) BFDProfile {
	if len(raw.Name) > maxBFDName {
		a.invalid(RuleBFDName, "metadata.name", quote(raw.Name), fmt.Sprintf("must be at most %d characters, the longest profile name of FRR", maxBFDName))
	}
	return BFDProfile{
		Name:             raw.Name,
		ReceiveInterval:  a.within(RuleBFDInterval, "spec.receiveInterval", raw.ReceiveInterval, 10, 60000),
		TransmitInterval: a.within(RuleBFDInterval, "spec.transmitInterval", raw.TransmitInterval, 10, 60000),
		EchoInterval:     a.within(RuleBFDInterval, "spec.echoInterval", raw.EchoInterval, 10, 60000),
		DetectMultiplier: a.within(RuleBFDMultiple, "spec.detectMultiplier", raw.DetectMultiplier, 2, 255),
		MinimumTTL:       a.within(RuleBFDTTL, "spec.minimumTtl", raw.MinimumTTL, 1, 254),
		EchoMode:         raw.EchoMode,
		PassiveMode:      raw.PassiveMode,
	}
}

// within returns the number, 0 when it is not given, and reports one outside of lo to hi.
func (a *about) within(rule Rule, field string, value *uint32, lo, hi uint32) uint32 {
	if value == nil {
		return 0
	}
	if *value < lo || *value > hi {
		a.invalid(rule, field, fmt.Sprint(*value), fmt.Sprintf("must be %d to %d", lo, hi))
	}
	return *value
}

// useProfile puts a profile into the Snapshot.
func (b *builder) useProfile(_ *about, p BFDProfile, _ bool) (BFDProfile, bool) {
	b.BFDProfiles = append(b.BFDProfiles, p)
	return p, true
}

// adoptOrphans puts the profiles that only sessions in force remember into the Snapshot.
func (b *builder) adoptOrphans() {
	for _, orphan := range b.orphans {
		if !slices.ContainsFunc(b.BFDProfiles, func(p BFDProfile) bool { return p.Name == orphan.Name }) {
			b.BFDProfiles = append(b.BFDProfiles, orphan)
		}
	}
}

// warnOfEcho warns of sessions with BFD echo that are to carry IPv6 routes as well: echo packets run over IPv4 only, so that they do not
// detect a broken IPv6 path.
func (b *builder) warnOfEcho() {
	echo := map[string]bool{}
	for i := range b.BFDProfiles {
		echo[b.BFDProfiles[i].Name] = b.BFDProfiles[i].EchoMode
	}
	for i := range b.Peers {
		p := &b.Peers[i]
		if !p.DualStack || !echo[p.BFDProfile] {
			continue
		}
		for j := range b.BGPAdvertisements {
			ad := &b.BGPAdvertisements[j]
			pool := b.ipv6PoolOf(ad)
			if pool == "" || !names(ad.Peers, p.Name) || !b.adNodes[j].meets(b.peerNodes[i]) {
				continue
			}
			a := about{ref: ObjectRef{Kind: KindPeer, Namespace: b.namespace, Name: p.Name}}
			a.warn(RuleEchoIPv6, "spec.bfdProfile", quote(p.BFDProfile), fmt.Sprintf(
				"has spec.echoMode true, but BGPAdvertisement %s announces IPv6 addresses of IPAddressPool %s to this peer: echo packets watch the IPv4 path only", ad.Name, pool))
			b.problems = append(b.problems, a.problems...)
			break
		}
	}
}

// ipv6PoolOf returns the name of a pool with IPv6 addresses that the advertisement announces, "" when there is none.
func (b *builder) ipv6PoolOf(ad *BGPAdvertisement) string {
	for _, name := range ad.Pools {
		if b.shortest[name].has[1] {
			return name
		}
	}
	return ""
}

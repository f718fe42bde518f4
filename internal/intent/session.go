package intent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// basicAuth is the type of Secret that may hold a peer's password (corev1.SecretTypeBasicAuth).
const basicAuth = "kubernetes.io/basic-auth"

// usePeer looks up what a peer refers to and puts it into the Snapshot unless it contradicts a peer that is already there. A session without
// its password or without BFD would be another session than the one asked for: a peer whose Secret or BFDProfile is missing is not used.
func (b *builder) usePeer(a *about, p parsedPeer, old bool) (parsedPeer, bool) {
	ok := true
	if password, found := b.password(a, &p); found {
		p.Peer.Password = password
	} else if !old {
		ok = false
	}
	profile, found := b.profile(a, &p)
	if found {
		p.Profile = profile
	} else if !old {
		ok = false
	}
	if p.Profile.EchoMode && !p.Peer.Remote().Is4() {
		a.conflict(RuleEchoIPv6, "spec.bfdProfile", quote(p.Peer.BFDProfile), "has spec.echoMode true, which FRR supports for IPv4 sessions only; the session is not opened")
		ok = false
	}
	ok = b.accepts(a, &p.Peer) && ok
	nodes := b.nodesOf(p.Peer.Nodes)
	if !b.agrees(a, &p.Peer, nodes) || !ok {
		return p, false
	}
	if p.Peer.BFDProfile != "" && !found {
		// The profile is gone but a session still uses it: it lives as long as the session does.
		b.orphans = append(b.orphans, p.Profile)
	}
	a.matchesNothing(nodes, b)
	b.Peers, b.peerNodes = append(b.Peers, p.Peer), append(b.peerNodes, nodes)
	return p, true
}

// password returns the peer's password as it is now; found is false when its Secret does not have one.
func (b *builder) password(a *about, p *parsedPeer) (password Secret, found bool) {
	if p.Secret == "" {
		return p.Peer.Password, true
	}
	const (
		field  = "spec.passwordSecret.name"
		closed = "; no session is opened without its password"
	)
	secret, ok := b.secrets[p.Secret]
	name := a.ref.Namespace + "/" + p.Secret
	switch {
	case !ok:
		a.unresolved(RuleSecretMissing, field, quote(p.Secret), "there is no Secret "+name+closed)
	case secret.Type != basicAuth:
		a.unresolved(RuleSecretType, field, quote(p.Secret), fmt.Sprintf("Secret %s must be of type %s, it is %s%s", name, basicAuth, quote(secret.Type), closed))
	case !secret.HasPassword || secret.Password.IsZero():
		a.unresolved(RuleSecretKey, field, quote(p.Secret), "Secret "+name+" must have the key password"+closed)
	default:
		found, wanted := unusablePassword(secret.Password)
		if wanted == "" {
			return secret.Password, true
		}
		a.unresolved(RuleSecretPassword, field, quote(p.Secret), fmt.Sprintf("the password in Secret %s is %s: %s%s", name, found, wanted, closed))
	}
	return Secret{}, false
}

// secretsByName indexes the Secrets of a namespace.
func secretsByName(list []RawSecret, namespace string) map[string]*RawSecret {
	secrets := make(map[string]*RawSecret, len(list))
	for _, s := range byAge(list, func(r *RawSecret) *Meta { return &r.Meta }) {
		if s.Namespace == namespace && secrets[s.Name] == nil {
			secrets[s.Name] = s
		}
	}
	return secrets
}

// profile returns the peer's BFD profile as it is now; found is false when there is none in force.
func (b *builder) profile(a *about, p *parsedPeer) (profile BFDProfile, found bool) {
	name := p.Peer.BFDProfile
	if name == "" {
		return BFDProfile{}, true
	}
	for i := range b.BFDProfiles {
		if b.BFDProfiles[i].Name == name {
			return b.BFDProfiles[i], true
		}
	}
	a.unresolved(RuleBFDProfile, "spec.bfdProfile", quote(name), b.missing(KindBFDProfile, a.ref.Namespace, name)+"; no session is opened without the BFD that was asked for")
	return BFDProfile{}, false
}

// missing says that an object is not there, or there but not in force.
func (b *builder) missing(kind, namespace, name string) string {
	ref := ObjectRef{Kind: kind, Namespace: namespace, Name: name}
	if b.exists[ref] {
		return ref.String() + " is not in force, see its conditions"
	}
	if !isObjectName(name) {
		return "that can't be the name of a " + kind
	}
	return "there is no " + ref.String()
}

// agrees tells whether the peer can run beside those already in force on every node that they share.
func (b *builder) agrees(a *about, p *Peer, nodes nodeSet) bool {
	ok := true
	for i := range b.Peers {
		other := &b.Peers[i]
		if !nodes.meets(b.peerNodes[i]) {
			continue
		}
		older := fmt.Sprintf("the older BGPPeer %s/%s", a.ref.Namespace, other.Name)
		const end = " on the nodes that both select; the whole BGPPeer is left out"
		switch {
		case p.VRF == other.VRF && p.meets(other):
			field, found := p.target()
			has := " already has a session with it"
			if p.Listens() {
				has = " already listens for " + other.ListenRange.String() + ", and a router is of one BGPPeer alone"
			}
			a.conflict(RuleDuplicatePeer, field, found, older+has+end)
			ok = false
		case p.VRF == other.VRF && p.MyASN != other.MyASN:
			a.conflict(RuleMyASNDiffers, "spec.myASN", fmt.Sprint(p.MyASN), fmt.Sprintf("%s has %d, and there is one BGP router per node and VRF%s", older, other.MyASN, end))
			ok = false
		}
		if p.VRF == other.VRF && p.ListenLimit != 0 && other.ListenLimit != 0 && p.ListenLimit != other.ListenLimit {
			a.conflict(RuleListenLimitDiffers, "spec.listenLimit", fmt.Sprint(p.ListenLimit), fmt.Sprintf("%s has %d, and there is one limit per node and VRF%s", older, other.ListenLimit, end))
			ok = false
		}
		if p.RouterID.IsValid() && other.RouterID.IsValid() && p.RouterID != other.RouterID {
			a.conflict(RuleRouterIDDiffers, "spec.routerID", p.RouterID.String(), fmt.Sprintf("%s has %s%s", older, other.RouterID, end))
			ok = false
		}
	}
	return ok
}

// nodeSet is the set of the nodes that selectors match, as bits in the order of builder.nodes. all tells that there were no selectors.
type nodeSet struct {
	all  bool
	bits []uint64
}

// nodesOf returns the nodes that a list of selectors, empty for all, matches. Many objects have the same selectors, so that results are
// remembered by their text.
func (b *builder) nodesOf(set selector.Set) nodeSet {
	key := strings.Join(texts(set), "\n")
	if n, ok := b.sets[key]; ok && n.all == (len(set) == 0) {
		return n
	}
	n := nodeSet{all: len(set) == 0, bits: make([]uint64, (len(b.nodes)+63)/64)}
	for i := range b.nodes {
		if n.all || set.Matches(b.nodes[i].Labels) {
			n.bits[i/64] |= 1 << (i % 64)
		}
	}
	b.sets[key] = n
	return n
}

// empty tells whether no node is in the set.
func (n nodeSet) empty() bool {
	return !slices.ContainsFunc(n.bits, func(word uint64) bool { return word != 0 })
}

// meets tells whether a node is in both sets. Two sets of all nodes meet even while no node is known.
func (n nodeSet) meets(o nodeSet) bool {
	if n.all && o.all {
		return true
	}
	for i := range n.bits {
		if n.bits[i]&o.bits[i] != 0 {
			return true
		}
	}
	return false
}

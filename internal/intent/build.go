package intent

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Build validates raw and returns the configuration to carry out together with everything wrong with raw, sorted by object.
//
// last is the Snapshot that Build returned before in this process, or the zero Snapshot. An object that can't be used as it is now keeps
// in force what the same object (by name and UID) last validly said. Of two objects that contradict each other the older one is used.
// Build depends only on the contents of its arguments, not on the order of raw's lists of objects, and changes neither argument.
func Build(raw Raw, last Snapshot) (Snapshot, []Problem) {
	b := &builder{namespace: raw.Namespace, listens: raw.Listens, nodes: raw.Nodes, was: last.memory, next: &memory{leaving: map[string]bool{}, abandoned: map[string]bool{}}, reserved: map[netip.Addr]string{}, exists: map[ObjectRef]bool{}, aliases: map[string]alias{}, sets: map[string]nodeSet{}}
	if b.was == nil {
		b.was = &memory{}
	}
	b.secrets = secretsByName(raw.Secrets, raw.Namespace)

	b.next.communities = settle(b, KindCommunity, raw.Communities, func(r *RawCommunity) *Meta { return &r.Meta }, parseAliases, b.useAliases, b.was.communities)
	b.next.profiles = settle(b, KindBFDProfile, raw.BFDProfiles, func(r *RawBFDProfile) *Meta { return &r.Meta }, parseBFDProfile, b.useProfile, b.was.profiles)
	b.next.pools = settle(b, KindPool, raw.Pools, func(r *RawPool) *Meta { return &r.Meta }, parsePool, b.usePool, b.was.pools)
	b.index = indexOf(b.Pools)
	b.shortest = shortestAggregates(b.Pools)
	b.next.peers = settle(b, KindPeer, raw.Peers, func(r *RawPeer) *Meta { return &r.Meta }, parsePeer, b.usePeer, b.was.peers)
	b.next.bgp = settle(b, KindBGPAdvertisement, raw.BGPAdvertisements, func(r *RawBGPAdvertisement) *Meta { return &r.Meta }, parseBGPAdvertisement, b.useBGPAdvertisement, b.was.bgp)
	b.next.l2 = settle(b, KindL2Advertisement, raw.L2Advertisements, func(r *RawL2Advertisement) *Meta { return &r.Meta }, parseL2Advertisement, b.useL2Advertisement, b.was.l2)
	b.next.reservations = settle(b, KindReservation, raw.Reservations, func(r *RawReservation) *Meta { return &r.Meta }, parseReservation, b.useReservation, b.was.reservations)
	b.next.quotas = settle(b, KindQuota, raw.Quotas, func(r *RawQuota) *Meta { return &r.Meta }, parseQuota, b.useQuota, b.was.quotas)
	b.next.extras = settle(b, KindConfigMap, raw.Extras, func(r *RawExtras) *Meta { return &r.Meta }, parseExtras, b.useSnippet, b.was.extras)
	b.next.snippets = settle(b, KindSnippet, raw.Snippets, func(r *RawSnippet) *Meta { return &r.Meta }, parseSnippet, b.useSnippet, b.was.snippets)
	b.abandon(raw.Pools)
	b.adoptOrphans()
	b.warnOfEcho()

	slices.SortFunc(b.BFDProfiles, func(a, o BFDProfile) int { return strings.Compare(a.Name, o.Name) })
	slices.SortFunc(b.Peers, func(a, o Peer) int { return strings.Compare(a.Name, o.Name) })
	slices.SortFunc(b.BGPAdvertisements, func(a, o BGPAdvertisement) int { return strings.Compare(a.Name, o.Name) })
	slices.SortFunc(b.L2Advertisements, func(a, o L2Advertisement) int { return strings.Compare(a.Name, o.Name) })
	slices.SortFunc(b.Reservations, func(a, o Reservation) int { return strings.Compare(a.Name, o.Name) })
	slices.SortFunc(b.Quotas, func(a, o ipam.Quota) int { return strings.Compare(a.Name, o.Name) })
	slices.SortFunc(b.Snippets, Snippet.compare)
	b.memory = b.next
	slices.SortFunc(b.problems, Problem.compare)
	return b.Snapshot, slices.CompactFunc(b.problems, func(a, o Problem) bool { return a == o })
}

// builder is the state of one Build: the Snapshot as far as it goes, and what is looked up on the way.
type builder struct {
	Snapshot
	problems  []Problem
	namespace string
	listens   bool
	nodes     []RawNode
	secrets   map[string]*RawSecret
	// was and next are what objects said at the last Build and at this one.
	was, next *memory
	// aliases are all that are in force, with the object that defines each.
	aliases map[string]alias
	// exists has every object of raw, in force or not.
	exists map[ObjectRef]bool
	// peerNodes are the nodes of each entry of Snapshot.Peers, in the order of acceptance, and adNodes those of each BGPAdvertisement.
	peerNodes, adNodes []nodeSet
	// sets are the nodeSets found so far, by the text of their selectors.
	sets map[string]nodeSet
	// shortest has, per pool in force, how large its aggregates may be.
	shortest map[string]aggregates
	// wanted are the accepted BGPAdvertisements with all of their pools, also those that were left out.
	wanted []BGPAdvertisement
	// orphans are BFD profiles that no longer exist but that sessions in force use.
	orphans []BFDProfile
	// reserved has, for each address that an IPReservation in force names, the name of that.
	reserved map[netip.Addr]string
}

// memory is what every object said when it was last valid, by name.
type memory struct {
	communities map[string]remembered[[]alias]
	profiles    map[string]remembered[BFDProfile]
	pools       map[string]remembered[Pool]
	peers       map[string]remembered[parsedPeer]
	bgp         map[string]remembered[parsedBGPAdvertisement]
	l2          map[string]remembered[parsedL2Advertisement]
	// reservations and quotas are as parsed, with all that they name.
	reservations map[string]remembered[Reservation]
	quotas       map[string]remembered[ipam.Quota]
	snippets     map[string]remembered[Snippet]
	extras       map[string]remembered[Snippet]
	// leaving are the pools whose users allow their addresses to be lost to a deletion now, abandoned those that were deleted so.
	leaving, abandoned map[string]bool
}

// remembered is what an object said when it was last in force.
type remembered[P any] struct {
	// UID tells the object from a later one of the same name.
	UID   string
	Value P
	// Generation is that of the object when it said so.
	Generation int64
	// InForce is false where Value is remembered but contradicts what is in force now.
	InForce bool
}

// settle goes through all objects of one kind, the oldest first. Each is parsed by itself, then put to use against what is already in force.
// Where either fails, what the object said before is put to use instead, if there is such. use is told with old set that its argument is
// remembered: references that no longer resolve are then taken as remembered, and it reports nothing. It returns what to remember.
func settle[R, P any](b *builder, kind string, raws []R, meta func(*R) *Meta, parse func(*about, *R) P,
	use func(a *about, parsed P, old bool) (P, bool), was map[string]remembered[P],
) map[string]remembered[P] {
	next := map[string]remembered[P]{}
	seen := map[string]bool{}
	for _, r := range byAge(raws, meta) {
		m := meta(r)
		a := &about{ref: ObjectRef{Kind: kind, Namespace: m.Namespace, Name: m.Name}}
		if a.place(m, b.namespace, seen) {
			b.exists[a.ref] = true
			now := parse(a, r)
			done := false
			if !a.bad {
				if now, done = use(a, now, false); done {
					next[m.Name] = remembered[P]{UID: m.UID, Value: now, Generation: m.Generation, InForce: true}
				}
			}
			if before, ok := was[m.Name]; !done && ok && before.UID == m.UID {
				used, ok := use(&about{ref: a.ref}, before.Value, true)
				if before.InForce = ok; ok {
					before.Value = used
					a.keep()
				}
				next[m.Name] = before
			}
		}
		b.problems = append(b.problems, a.problems...)
	}
	return next
}

// byAge returns pointers to the entries of list, the oldest object first; of equal age, by name.
func byAge[R any](list []R, meta func(*R) *Meta) []*R {
	out := make([]*R, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	slices.SortFunc(out, func(a, o *R) int {
		x, y := meta(a), meta(o)
		return cmp.Or(x.Created.Compare(y.Created), strings.Compare(x.Name, y.Name), strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.UID, y.UID))
	})
	return out
}

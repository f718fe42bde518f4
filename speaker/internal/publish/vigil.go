package publish

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/timing"
)

const (
	// grace is how long an address may go unanswered by the node that is to answer for it before anybody is told: opening sockets takes a moment.
	grace = 2 * time.Second
	// patience is how long an address may be announced by no node before anybody is told: a Service often has its address before its pods
	// are ready.
	patience = 10 * time.Second
)

// vigil compares what is decided on layer 2 with what is done, and notes what users are to know of. It belongs to one goroutine.
type vigil struct {
	node string
	// held are the addresses that this node is to answer for, orphans those that no node does.
	held    map[netip.Addr]*holding
	orphans map[orphan]*waiting
	// knew says that this speaker has known once who has which address: it has met the others.
	knew bool
}

// holding is what is known of an address that this node is to answer for.
type holding struct {
	services []ipam.ServiceKey
	// unanswered is since when it is not answered on any link, zero while it is; told says that users know.
	unanswered time.Time
	told       bool
	// links are those that it is answered on, nil when no links are named for it and it is on all of them.
	links []string
	// rivals are the hardware addresses of other hosts that claim it, by link.
	rivals map[string]string
}

// orphan is an address of a Service that no node answers for, and why.
type orphan struct {
	service ipam.ServiceKey
	address netip.Addr
	code    announce.ReasonCode
}

// waiting is since when something has been so, and whether users know.
type waiting struct {
	since time.Time
	told  bool
}

// circumstances are what a vigil looks at besides the decision.
type circumstances struct {
	now time.Time
	// blind says that it is not known what is done for addresses; observed is that otherwise.
	blind    bool
	observed []l2.Observed
	// quorate is false when this speaker cannot know who has an address; spokesman is true on the one node that tells what concerns all, and
	// alone when it is not known which other speakers there are.
	quorate, spokesman, alone bool
}

func newVigil(node string) *vigil {
	return &vigil{node: node, held: map[netip.Addr]*holding{}, orphans: map[orphan]*waiting{}}
}

// look takes in what is. It returns what users are to know, and when to look again if nothing changes, 0 for never.
func (v *vigil) look(decided announce.Node, c circumstances) (notes []note, due time.Duration) {
	notes = v.hold(decided, c.now)
	v.knew = v.knew || slices.ContainsFunc(decided.Verdicts, func(verdict *announce.Verdict) bool {
		return verdict.Owner != "" // some reasons not to announce hold whoever the others are
	})
	observed := make(map[netip.Addr]*l2.Observed, len(c.observed))
	for i := range c.observed {
		observed[c.observed[i].Address] = &c.observed[i]
	}
	for _, e := range decided.L2 {
		h := v.held[e.Address]
		if h == nil {
			continue // no Service has it: that cannot be
		}
		if c.blind {
			h.unanswered, h.links = time.Time{}, e.Interfaces
			continue
		}
		o := observed[e.Address]
		if o == nil { // another node is to let go of it first, or this one has let go of everything because it ends
			h.unanswered, h.told = c.now, false
			continue
		}
		notes = append(notes, v.contest(h, o)...)
		told, wait := v.answer(h, e, o, c.now)
		notes, due = append(notes, told...), timing.Soonest(due, wait)
	}
	told, wait := v.mind(decided, c)
	return append(notes, told...), timing.Soonest(due, wait)
}

// hold makes held the addresses that this node is to answer for.
func (v *vigil) hold(decided announce.Node, now time.Time) (notes []note) {
	services := map[netip.Addr][]ipam.ServiceKey{}
	for _, verdict := range decided.Verdicts {
		if verdict.Announce && verdict.Protocol == announce.ProtocolLayer2 {
			services[verdict.Address] = append(services[verdict.Address], verdict.Service)
		}
	}
	var given []netip.Addr
	for address := range v.held {
		if len(services[address]) == 0 {
			given = append(given, address)
		}
	}
	slices.SortFunc(given, netip.Addr.Compare)
	for _, address := range given {
		h := v.held[address]
		for _, link := range slices.Sorted(maps.Keys(h.rivals)) {
			notes = append(notes, about(h.services, note{reason: eventConflictEnded,
				message: fmt.Sprintf("node %q does not answer for %s any more, which %s on link %s claimed", v.node, address, h.rivals[link], link)})...)
		}
		delete(v.held, address)
	}
	for address, keys := range services {
		if v.held[address] == nil {
			v.held[address] = &holding{unanswered: now}
		}
		v.held[address].services = keys
	}
	return notes
}

// answer notes when an address is not answered for by the node that is to, and when that is over.
func (v *vigil) answer(h *holding, e announce.L2Entry, o *l2.Observed, now time.Time) (notes []note, due time.Duration) {
	h.links = nil
	if len(o.Links) > 0 {
		h.unanswered, h.told = time.Time{}, false
		if e.Interfaces != nil {
			for _, l := range o.Links {
				h.links = append(h.links, l.Name)
			}
		}
		return nil, 0
	}
	if h.unanswered.IsZero() {
		h.unanswered = now
	}
	if wait := h.unanswered.Add(grace).Sub(now); wait > 0 || h.told {
		return nil, max(wait, 0)
	}
	h.told = true
	return about(h.services, note{warning: true, reason: eventFailed,
		message: fmt.Sprintf("node %q is to answer for %s and cannot: %s", v.node, e.Address, strings.Join(o.Problems, "; "))}), 0
}

// contest notes conflicts that begin and end.
func (v *vigil) contest(h *holding, o *l2.Observed) (notes []note) {
	rivals := map[string]string{}
	for _, c := range o.Conflicts {
		if c.Ongoing {
			rivals[c.Link] = c.Hardware.String()
		}
	}
	for _, link := range slices.Sorted(maps.Keys(rivals)) {
		if _, known := h.rivals[link]; !known {
			notes = append(notes, about(h.services, note{warning: true, reason: eventConflict, message: fmt.Sprintf(
				"%s on link %s claims %s, which node %q answers for: give that host another address, or the Service; until then clients may reach either",
				rivals[link], link, o.Address, v.node)})...)
		}
	}
	for _, link := range slices.Sorted(maps.Keys(h.rivals)) {
		if _, still := rivals[link]; !still {
			notes = append(notes, about(h.services, note{reason: eventConflictEnded,
				message: fmt.Sprintf("nobody but node %q claims %s on link %s any more", v.node, o.Address, link)})...)
		}
	}
	h.rivals = rivals
	return notes
}

// lonely tells whether the verdict at i is that no node announces an address. By BGP that is worth telling only where nobody wants it on layer 2.
func lonely(verdicts []*announce.Verdict, i int) bool {
	v := verdicts[i]
	if v.Announce || v.Owner != "" || v.Reason.Code == announce.ReasonNotQuorate {
		return false
	}
	if v.Protocol == announce.ProtocolLayer2 {
		return true
	}
	if i++; i < len(verdicts) && verdicts[i].Service == v.Service && verdicts[i].Address == v.Address {
		return false // it is wanted on layer 2
	}
	return v.Everywhere && v.Address.IsValid()
}

// mind notes the addresses that no node announces. All speakers see the same; the spokesman tells.
func (v *vigil) mind(decided announce.Node, c circumstances) (notes []note, due time.Duration) {
	present := map[orphan]bool{}
	var last announce.ReasonCode
	for i, verdict := range decided.Verdicts {
		if !c.quorate || !lonely(decided.Verdicts, i) {
			continue
		}
		key := orphan{verdict.Service, verdict.Address, verdict.Reason.Code}
		present[key] = true
		w := v.orphans[key]
		if w == nil {
			w = &waiting{since: c.now}
			v.orphans[key] = w
		}
		if wait := w.since.Add(patience).Sub(c.now); wait > 0 || w.told {
			due = timing.Soonest(due, max(wait, 0))
			continue
		}
		w.told = true
		if n := len(notes); n > 0 && notes[n-1].service == verdict.Service && last == verdict.Reason.Code {
			continue // the same is to be said of another address of the Service
		}
		last = verdict.Reason.Code
		notes = append(notes, note{service: verdict.Service, protocol: verdict.Protocol, warning: true, reason: eventFailed, logged: c.alone,
			message: announce.NoNode([]netip.Addr{verdict.Address}, verdict.Protocol, verdict.Reason.Detail)})
	}
	maps.DeleteFunc(v.orphans, func(o orphan, _ *waiting) bool { return !present[o] })
	if !c.spokesman && !c.alone {
		return nil, due
	}
	return notes, due
}

// answered says what ServiceL2Status objects are to tell: of the Services with an address that this node answers for, on which links; nothing
// new of those of which that is not certain yet.
func (v *vigil) answered(decided announce.Node) wishes {
	all := wishes{}
	everywhere := map[ipam.ServiceKey]bool{}
	for _, h := range v.held {
		if h.told {
			continue
		}
		for _, service := range h.services {
			w := all[service]
			if !h.unanswered.IsZero() {
				w.leave = true
			} else if h.links == nil {
				everywhere[service] = true
			} else {
				w.names = append(w.names, h.links...)
			}
			all[service] = w
		}
	}
	for service, w := range all {
		slices.Sort(w.names)
		if w.names = slices.Compact(w.names); everywhere[service] {
			w.names = nil
		}
		all[service] = w
	}
	if v.knew {
		return all // a speaker that was cut off afterwards has stopped to answer
	}
	for _, verdict := range decided.Verdicts {
		// Who has not met the others yet does not know what it will have.
		if verdict.Protocol == announce.ProtocolLayer2 && verdict.Reason.Code == announce.ReasonNotQuorate {
			if _, known := all[verdict.Service]; !known {
				all[verdict.Service] = wish{leave: true}
			}
		}
	}
	return all
}

// about returns a note for each Service.
func about(services []ipam.ServiceKey, n note) []note {
	notes := make([]note, len(services))
	for i, service := range services {
		n.service = service
		notes[i] = n
	}
	return notes
}

package l2

import (
	"net/netip"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// How claims of others are met (RFC 5227 section 2.4).
const (
	// settling is how long after an address was gained a claim is no conflict: what the owner before sent last may still be under way, and
	// the announcements of this time answer it anyway.
	settling = time.Second
	// defence is the least time between two defences of an address (DEFEND_INTERVAL): two hosts that both insist must not flood the link.
	defence = 10 * time.Second
	// peace is how long nobody else may have claimed the address until a conflict is over. Hosts that have an address say so at least that often
	// when they talk to anybody.
	peace = time.Minute
)

// Conflict is that somebody else on a link says he has an address that this node answers for.
type Conflict struct {
	Address netip.Addr
	// Link is the name of the link.
	Link string
	// Hardware is the address of the first who claimed it.
	Hardware wire.MAC
	// Since is when he was first heard, Last when a claim was last heard, his or another's.
	Since, Last time.Time
	// Ongoing is false once nobody has claimed the address for a minute.
	Ongoing bool
}

// keeper decides for one family on one link: which messages to answer, when to announce, what is a conflict. It knows no clock and no socket.
type keeper struct {
	host wire.Host
	link string
	// own are the hardware addresses of this node: what comes from them is nobody else.
	own      map[wire.MAC]struct{}
	holdings map[netip.Addr]*holding
	// disputed are the addresses with an ongoing conflict.
	disputed map[netip.Addr]*holding
	turns    turns
}

// holding is one address that is answered for.
type holding struct {
	turn
	since time.Time
	// conflict is the last one, without address when there was none.
	conflict Conflict
	defended time.Time
}

func newKeeper(host wire.Host, link string, turns turns) *keeper {
	return &keeper{host: host, link: link, turns: turns, holdings: map[netip.Addr]*holding{}, disputed: map[netip.Addr]*holding{}}
}

// keep makes the addresses those that are answered for and tells whether that changed anything, and whether any is new.
func (k *keeper) keep(addresses []netip.Addr, now time.Time) (changed, gained bool) {
	wanted := make(map[netip.Addr]struct{}, len(addresses))
	for _, a := range addresses {
		wanted[a] = struct{}{}
	}
	for a, h := range k.holdings {
		if _, ok := wanted[a]; !ok {
			k.turns.forget(&h.turn)
			delete(k.holdings, a)
			delete(k.disputed, a)
			changed = true
		}
	}
	for _, a := range addresses {
		if k.holdings[a] != nil {
			continue
		}
		h := &holding{turn: turn{address: a, at: -1}, since: now}
		k.holdings[a] = h
		k.turns.soon(&h.turn, now)
		gained = true
	}
	return changed || gained, gained
}

// verdict is what follows from a message. Several things may.
type verdict struct {
	// answer says that the sender is to be told that this node has the message's target.
	answer bool
	// conflict says that the message claims an address of this node, news that this is a new conflict.
	conflict, news bool
	// drop is why nothing follows, "" when something does.
	drop string
}

// hear judges a message.
func (k *keeper) hear(m wire.Message, now time.Time) verdict {
	if k.ours(m.Source) || k.ours(m.Hardware) {
		return verdict{drop: DropOwn} // it came back over a loop or a second link
	}
	var v verdict
	if h := k.holdings[m.Sender]; h != nil && m.About(m.Sender) == wire.Claims {
		v.conflict = true
		v.news = k.claimed(h, m, now)
	}
	if h := k.holdings[m.Target]; h != nil && m.Target != m.Sender {
		switch m.About(m.Target) {
		case wire.Asks, wire.Probes:
			v.answer = k.addressed(m)
		case wire.Claims:
			v.conflict = true
			v.news = k.claimed(h, m, now) || v.news
		case wire.Unrelated:
		}
	}
	if !v.answer && !v.conflict {
		v.drop = DropUnrelated
	}
	return v
}

func (k *keeper) ours(m wire.MAC) bool {
	_, ok := k.own[m]
	return ok || m == k.host.MAC
}

// addressed tells whether a question was put to everybody or to this node. One that was put to another host is his to answer: after an address
// has moved, neighbors ask the node before once more, and a link that takes in everything would have this one answer, too.
func (k *keeper) addressed(m wire.Message) bool {
	return m.Destination[0]&1 == 1 || m.Destination == k.host.MAC
}

// claimed takes in that somebody else says he has an address, and tells whether that begins a conflict.
func (k *keeper) claimed(h *holding, m wire.Message, now time.Time) bool {
	if now.Sub(h.since) < settling {
		return false
	}
	if h.defended.IsZero() || now.Sub(h.defended) >= defence {
		h.defended = now
		k.turns.soon(&h.turn, now)
	}
	if h.conflict.Ongoing {
		h.conflict.Last = now
		return false
	}
	h.conflict = Conflict{Address: h.address, Link: k.link, Hardware: m.Hardware, Since: now, Last: now, Ongoing: true}
	k.disputed[h.address] = h
	return true
}

// due returns an address to announce now; or none, and how long until it is to be asked again, negative for as long as nothing changes. news
// says that a conflict has ended.
func (k *keeper) due(now time.Time) (address netip.Addr, wait time.Duration, news bool) {
	address, wait = k.turns.next(now)
	for a, h := range k.disputed {
		left := peace - now.Sub(h.conflict.Last)
		switch {
		case left <= 0:
			h.conflict.Ongoing = false
			delete(k.disputed, a)
			news = true
		case wait < 0 || left < wait:
			wait = left
		}
	}
	return address, wait, news
}

package members

import "time"

// lineState is what a member knows from the connection it keeps to another one.
type lineState uint8

const (
	// lineNone: there is no connection, and why is not known. Gossip decides.
	lineNone lineState = iota
	// lineOpen: the connection stands.
	lineOpen
	// lineRefused: the connection ended, and the host says that nobody listens any more: the process is gone.
	lineRefused
	// lineBye: the other one said that it is leaving.
	lineBye
)

// String names the state in the log.
func (s lineState) String() string {
	switch s {
	case lineOpen:
		return "open"
	case lineRefused:
		return "refused"
	case lineBye:
		return "ended by it"
	case lineNone:
	}
	return "none"
}

// evidence is what is known of one other member.
type evidence struct {
	// gossip says whether memberlist holds it for alive, and gossipAt since when it does or does not.
	gossip   bool
	gossipAt time.Time
	// line is the state of the connection to it, since lineAt.
	line   lineState
	lineAt time.Time
	// askedAt is when the question was asked over the connection that has had no answer yet, zero when there is none. reached says that the
	// kernel of its node has acknowledged all that was asked.
	askedAt time.Time
	reached bool
	// ackAt is when memberlist last sent a probe to it that was answered.
	ackAt time.Time
}

// timing is how long to wait before believing something.
type timing struct {
	// reach is how long the kernel of a living node may take to acknowledge what it got: one lost packet is sent again after 200 ms.
	reach time.Duration
	// hang is how long a living process may take to answer, on a node that has too much to do.
	hang time.Duration
	// doubt is how long the connection outweighs gossip. Members must come to the same view in the end, and gossip is what they share.
	doubt time.Duration
}

// alive judges whether the member lives. Where the answer may change with time alone, check is when to look again. While gossip and the
// connection disagree, a question is to be asked over the connection.
//
// Gossip decides, with two exceptions. It is slow to see that a process is gone, where the kernel of that node knows at once: a connection that
// ended and is refused when tried again is proof, unless a probe sent afterwards was answered. And gossip takes a node that has too much to do for
// dead. Its kernel still acknowledges what is sent over the connection, which that of a node without power or network does not: then its process is
// given more time.
func (e evidence) alive(now time.Time, t timing) (alive bool, check time.Time) {
	switch e.line {
	case lineBye:
		return false, time.Time{}
	case lineRefused:
		if !e.gossip {
			return false, time.Time{}
		}
		return e.ackAt.After(e.lineAt), now.Add(t.reach)
	case lineNone, lineOpen:
	}
	if e.gossip {
		return true, time.Time{}
	}
	if e.line != lineOpen || now.Sub(e.gossipAt) >= t.doubt {
		return false, time.Time{}
	}
	again := now.Add(t.reach / 2)
	if !e.askedAt.IsZero() {
		patience := t.reach
		if e.reached {
			patience = t.hang
		}
		if now.Sub(e.askedAt) >= patience {
			return false, time.Time{}
		}
		again = earlier(again, e.askedAt.Add(patience))
	}
	return true, earlier(again, e.gossipAt.Add(t.doubt))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

package sessions

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

const (
	// settleTime is how long the first event waits for those that follow it: a session that opens passes through four states in milliseconds.
	settleTime = 50 * time.Millisecond
	// lookPause is the least time between two looks at FRR.
	lookPause = 200 * time.Millisecond
	// restingPause is between two looks while nothing is told to happen. They bring the counts of prefixes that the router sends, which change
	// without an event.
	restingPause = 15 * time.Second
	// blindPause is the same while FRR does not tell what happens.
	blindPause = time.Second
	// showLimit bounds the time FRR has to answer.
	showLimit = 3 * time.Second
	// patience is how long FRR may fail to answer before that is said: the reloader may be starting.
	patience = 5 * time.Second
)

// view is what is known of one session at one time.
type view struct {
	key frrstate.Key
	// neighbor is what is wanted.
	neighbor *announce.Neighbor
	at       time.Time
	// session is nil where FRR does not have it, bfd where there is none.
	session *frrstate.Session
	bfd     *frrstate.BFDSession
	trace   frrstate.Trace
	// failure says why FRR does not answer, "" when it does.
	failure string
	// attempt: a router tried to open a session and there is none. That is told, but there is no object for it.
	attempt bool
}

// established tells whether the session is up.
func (v *view) established() bool { return v.session != nil && v.session.Established() }

// look looks at the sessions whenever something happened to them, and from time to time.
func (r *Reporter) look(ctx context.Context) {
	teller := newTeller(r)
	var failing time.Time
	for {
		views, err := r.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		}
		pause := r.pause(err)
		if err == nil || r.ended() || time.Since(failing) >= patience {
			if err != nil {
				views = r.blind(err)
			}
			r.show(views)
			pause = min(pause, teller.tell(ctx, views))
		}
		if !r.await(ctx, pause) {
			return
		}
	}
}

// await waits until something happened or the pause is over, false when ctx ends.
func (r *Reporter) await(ctx context.Context, pause time.Duration) bool {
	least := time.After(lookPause)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
	case <-r.poke:
		for _, wait := range []<-chan time.Time{time.After(settleTime), least} {
			select {
			case <-ctx.Done():
				return false
			case <-wait:
			}
		}
		select {
		case <-r.poke: // what came meanwhile is about to be seen
		default:
		}
	}
	return true
}

// pause is how long to wait for an event.
func (r *Reporter) pause(err error) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !r.feed.following && !r.wanted.none() {
		return blindPause
	}
	return restingPause
}

// ended tells whether bgpd is known to have ended.
func (r *Reporter) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.feed.lost
}

// show hands views to who writes them.
func (r *Reporter) show(views []view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.wanted.known {
		return // what there is to see is not known yet
	}
	r.views, r.seen = slices.DeleteFunc(slices.Clone(views), func(v view) bool { return v.attempt }), true
	wake(r.news)
}

// shown returns what was seen last, and whether there was anything to see.
func (r *Reporter) shown() ([]view, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.views, r.seen
}

// read asks FRR for the state of the wanted sessions, sorted by key. Without any, FRR is not asked.
func (r *Reporter) read(ctx context.Context) ([]view, error) {
	views, none := r.expected()
	if none {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, showLimit)
	defer cancel()
	sessions, err := show(ctx, r.FRR, "bgpd", frrstate.CommandSessions, frrstate.ParseSessions)
	if err != nil {
		return nil, err
	}
	if r.Seen != nil {
		r.Seen(sessions)
	}
	views = r.withDynamic(views, sessions)
	var bfd []frrstate.BFDSession
	if slices.ContainsFunc(views, func(v view) bool { return v.neighbor.BFDProfile != "" }) {
		// That bfdd does not answer says nothing of BGP.
		bfd, _ = show(ctx, r.FRR, "bfdd", frrstate.CommandBFD, frrstate.ParseBFD)
	}
	for i := range views {
		v := &views[i]
		if at, ok := slices.BinarySearchFunc(sessions, v.key, func(s frrstate.Session, key frrstate.Key) int { return s.Compare(key) }); ok {
			v.session = &sessions[at]
		}
		v.bfd = bfdOf(v, bfd)
	}
	return views, nil
}

// bfdOf returns the BFD session of a BGP session.
func bfdOf(v *view, all []frrstate.BFDSession) *frrstate.BFDSession {
	if v.session == nil || v.neighbor.BFDProfile == "" {
		return nil
	}
	for i := range all {
		b := &all[i]
		if b.VRF == v.key.VRF && b.Peer == v.session.Address && (v.neighbor.Interface == "" || b.Interface == v.neighbor.Interface) {
			return b
		}
	}
	return nil
}

func show[T any](ctx context.Context, frr FRR, daemon, command string, parse func([]byte) ([]T, error)) ([]T, error) {
	output, err := frr.Show(ctx, daemon, command)
	if err != nil {
		return nil, err
	}
	return parse(output)
}

// expected returns the wanted sessions with what events tell of them, sorted by key. none tells that FRR has no others either.
func (r *Reporter) expected() (views []view, none bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, key := range slices.SortedFunc(maps.Keys(r.wanted.neighbors), frrstate.Key.Compare) {
		views = append(views, view{key: key, neighbor: r.wanted.neighbors[key], at: now, trace: r.feed.traces[key.Peer]})
	}
	return views, r.wanted.none()
}

// blind returns what there is to say while FRR does not answer.
func (r *Reporter) blind(err error) []view {
	views, _ := r.expected()
	views = r.withLastDynamic(views)
	for i := range views {
		views[i].failure = err.Error()
	}
	return views
}

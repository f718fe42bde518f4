package sent

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/timing"
)

// ask gives bgpd a command and parses its answer.
func ask[T any](ctx context.Context, frr FRR, command string, parse func([]byte) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, showLimit)
	defer cancel()
	output, err := frr.Show(ctx, "bgpd", command)
	if err != nil {
		var none T
		return none, err
	}
	return parse(output)
}

// See takes in all sessions of bgpd, as it has just shown them. Who follows what happens to them asks it, so that it is asked once for all.
func (t *Tracker) See(sessions []frrstate.Session) {
	states := make(map[frrstate.Key]*frrstate.Session, len(sessions))
	for i := range sessions {
		states[sessions[i].Key] = &sessions[i]
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	changed, missing := t.seeDynamic(sessions, now), false
	for key, s := range t.sessions {
		if s.see(states[key], now) {
			changed = true
			missing = missing || s.up && s.missing > 0
		}
	}
	if !changed {
		return
	}
	if missing {
		t.search(now, 0)
	}
	signal(t.news)
	signal(t.wake)
}

// mourn has those told whose sessions are down for long enough now, and returns when the next will be; zero for none.
func (t *Tracker) mourn(now time.Time) (next time.Time) {
	await := func(downs time.Time, mourned *bool) {
		if due := downs.Add(grace); now.Before(due) {
			next = earliest(next, due)
			return
		}
		*mourned = true
		signal(t.news)
	}
	for _, s := range t.sessions {
		if s.known && !s.up && !s.mourned {
			await(s.downs, &s.mourned)
		}
	}
	for _, v := range t.vacant {
		if !v.mourned {
			await(v.since, &v.mourned)
		}
	}
	return next
}

// earliest is the earlier of two times, of which the zero one means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// report logs once that FRR does not answer, and once that it does again.
func (t *Tracker) report(ctx context.Context, err error) {
	if ctx.Err() != nil || t.failing == (err != nil) {
		return
	}
	if t.failing = err != nil; t.failing {
		t.log.WarnContext(ctx, "FRR does not show what it sent; what was reported of it stays", "op", "readBack", "error", err)
	} else {
		t.log.InfoContext(ctx, "FRR shows what it sent again", "op", "readBack")
	}
}

// lookForRoutes reads back what is not known to have been sent.
func (t *Tracker) lookForRoutes(ctx context.Context) {
	begin := time.Now()
	t.mu.Lock()
	lacking := map[frrstate.Key][]netip.Prefix{}
	inVRF := map[string]map[netip.Prefix]bool{}
	for key, s := range t.sessions {
		list := s.lacks()
		if len(list) == 0 {
			continue
		}
		lacking[key] = list
		if inVRF[key.VRF] == nil {
			inVRF[key.VRF] = map[netip.Prefix]bool{}
		}
		for _, p := range list {
			inVRF[key.VRF][p] = true
		}
	}
	t.mu.Unlock()
	distinct := 0
	for _, prefixes := range inVRF {
		distinct += len(prefixes)
	}
	var err error
	if distinct <= few {
		err = t.readPrefixes(ctx, inVRF)
	} else {
		err = t.readSessions(ctx, lacking)
	}
	t.report(ctx, err)
	now := time.Now()
	t.conclude(now, now.Add(timing.Rest(now.Sub(begin))))
}

// readPrefixes asks for each prefix to whom it is advertised.
func (t *Tracker) readPrefixes(ctx context.Context, inVRF map[string]map[netip.Prefix]bool) error {
	var failed error
	for vrf, prefixes := range inVRF {
		for _, p := range slices.SortedFunc(maps.Keys(prefixes), compare) {
			routers, err := ask(ctx, t.frr, frrstate.CommandAdvertisedTo(vrf, p), frrstate.ParseAdvertisedTo)
			failed = errors.Join(failed, err)
			for _, router := range routers {
				t.found(frrstate.Key{VRF: vrf, Peer: router}, p)
			}
		}
	}
	return failed
}

// readSessions asks for all that each session that lacks something was sent.
func (t *Tracker) readSessions(ctx context.Context, lacking map[frrstate.Key][]netip.Prefix) error {
	var failed error
	for key, list := range lacking {
		for _, ipv6 := range []bool{false, true} {
			if !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr().Is6() == ipv6 }) {
				continue
			}
			prefixes, err := ask(ctx, t.frr, frrstate.CommandAdvertised(key, ipv6), frrstate.ParseAdvertised)
			failed = errors.Join(failed, err)
			t.found(key, prefixes...)
		}
	}
	return failed
}

// found takes in what a router was sent.
func (t *Tracker) found(key frrstate.Key, prefixes ...netip.Prefix) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[key]
	if s == nil || !s.up {
		return
	}
	for _, p := range prefixes {
		if !s.note(p) {
			continue
		}
		signal(t.news)
		if noticed, ok := t.fresh[p]; ok && s.since.Before(noticed) {
			t.delay.Observe(now.Sub(noticed).Seconds())
		}
	}
}

// conclude decides whether and when to look again, not before rested.
func (t *Tracker) conclude(now, rested time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rested = rested
	missing := false
	for _, s := range t.sessions {
		missing = missing || s.up && s.missing > 0
	}
	if missing && now.Before(t.until) {
		t.again = latest(now.Add(t.pause), rested)
		t.pause = min(2*t.pause, lastPause)
		return
	}
	t.until = time.Time{}
	clear(t.fresh)
	if missing {
		signal(t.news) // that it was not sent is known now
	}
}

package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/rollout"
)

// host is a node of a world and the speaker there.
type host struct {
	name string
	// version is what the pod is of, and gone says that it ends or the next one is not there yet.
	version     int
	gone, ready bool
	away        bool
	since       time.Time
	up          bool
	begun       *rollout.Begun
}

// world is a cluster in which somebody carries plans out.
type world struct {
	hosts  []*host
	wanted int
	// broken is a version that does not start, and deaf one whose sessions do not come up; 0 is none.
	broken, deaf int
	// inPlace says that from one version to the next nothing but images differs.
	inPlace bool
	limits  rollout.Limits
	now     time.Time
}

func (w *world) input() rollout.Input {
	in := rollout.Input{Limits: w.limits, Now: w.now}
	for _, h := range w.hosts {
		s := rollout.Speaker{Node: h.name, Begun: h.begun, ReadySince: h.since, Sessions: []rollout.Session{{Name: "r", Up: h.up}}}
		if h.version != w.wanted {
			s.Way = rollout.Replace
			if w.inPlace {
				s.Way = rollout.InPlace
			}
		}
		switch {
		case h.away:
			s.Health = rollout.Away
		case !h.ready:
			s.Health, s.Ending = rollout.Unready, h.gone
		}
		in.Speakers = append(in.Speakers, s)
	}
	return in
}

func (w *world) host(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// decide carries out what is decided, and says which nodes that were well were begun with.
func (w *world) decide() (began []*host) {
	plan := rollout.Decide(w.input())
	for _, name := range plan.Done {
		w.host(name).begun = nil
	}
	for _, step := range plan.Begin {
		h := w.host(step.Node)
		if h.ready {
			began = append(began, h)
		}
		h.begun, h.ready = &step.Note, false
		if step.Way == rollout.InPlace {
			h.version = w.wanted
		} else {
			h.gone, h.up = true, false
		}
	}
	return began
}

// proceed lets a pod come, start, and its session come up, as far as its version does.
func (w *world) proceed(h *host) {
	switch {
	case h.away:
	case h.gone:
		h.gone, h.version = false, w.wanted
	case h.version == w.broken:
	case !h.ready:
		h.ready, h.since = true, w.now
	case h.version == w.deaf:
		h.up = false
	default:
		h.up = true
	}
}

// touched are nodes that were well and whose update is under way.
func (w *world) touched() (n int) {
	for _, h := range w.hosts {
		if h.begun != nil && !h.begun.Broken && !h.away {
			n++
		}
	}
	return n
}

func drawWorld(t *rapid.T) *world {
	w := &world{
		wanted: 1, now: start, inPlace: rapid.Bool().Draw(t, "in place"),
		limits: rollout.Limits{Unavailable: rapid.IntRange(0, 3).Draw(t, "limit"), SessionWait: wait},
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
		w.hosts = append(w.hosts, &host{name: fmt.Sprintf("n%d", i), version: 1, ready: true, since: start, up: rapid.Bool().Draw(t, "session")})
	}
	return w
}

// shake has anything happen.
func (w *world) shake(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
	h := w.hosts[rapid.IntRange(0, len(w.hosts)-1).Draw(t, "node")]
	switch rapid.SampledFrom([]string{"proceed", "proceed", "proceed", "version", "fall", "session", "away"}).Draw(t, "event") {
	case "proceed":
		w.proceed(h)
	case "version":
		w.wanted++
		w.inPlace = rapid.Bool().Draw(t, "in place")
	case "fall":
		h.ready = false
	case "session":
		h.up = rapid.Bool().Draw(t, "up")
	case "away":
		// Of nodes whose update is under way that would let another one begin, which then counts beside this one when it is back.
		if h.begun == nil {
			h.away = !h.away
		}
	}
}

func (w *world) most() int { return max(1, w.limits.Unavailable) }

func TestGivenAnyHistoryThenNoMoreNodesAreUpdatedAtATimeThanMayBeMissingAndAllAreInTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.wanted = 2
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			w.shake(t)
			for _, h := range w.decide() {
				if h.away {
					t.Fatalf("node %s is away and was updated", h.name)
				}
			}
			if n := w.touched(); n > w.most() {
				t.Fatalf("%d nodes are updated at a time, wanted at most %d", n, w.most())
			}
		}
		for range 12 * len(w.hosts) {
			w.decide()
			for _, h := range w.hosts {
				h.away = false
				w.proceed(h)
			}
		}
		for _, h := range w.hosts {
			if h.version != w.wanted || !h.ready || h.begun != nil {
				t.Errorf("in the end node %s has version %d of %d, ready %t, noted %+v", h.name, h.version, w.wanted, h.ready, h.begun)
			}
		}
	})
}

func TestGivenAVersionThatFailsThenItReachesNoMoreNodesThanMayBeMissingAndTheWayBackIsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for _, h := range w.hosts {
			h.up = true
		}
		w.wanted = 2
		if rapid.Bool().Draw(t, "deaf") && !w.inPlace {
			w.deaf = 2
		} else {
			w.broken = 2
		}
		reached := map[string]bool{}
		turns := func() {
			for range 20 * len(w.hosts) {
				for _, h := range w.decide() {
					reached[h.name] = true
				}
				for _, h := range w.hosts {
					w.proceed(h)
				}
				w.now = w.now.Add(wait / 3)
			}
		}
		turns()
		if len(reached) > w.most() {
			t.Fatalf("a version that fails reached %v, wanted at most %d nodes", reached, w.most())
		}
		w.wanted = 1
		turns()
		for _, h := range w.hosts {
			if h.version != 1 || !h.ready || !h.up || h.begun != nil {
				t.Errorf("after the way back node %s: %+v", h.name, *h)
			}
		}
	})
}

package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/rollout"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const wait = 5 * time.Minute

// old is a speaker that is well and not of the wanted version.
func old(node string, way rollout.Way) rollout.Speaker {
	return rollout.Speaker{Node: node, Way: way, ReadySince: start.Add(-time.Hour), Sessions: sessions("r1", "r2")}
}

// updated is the speaker of n1, of the wanted version whose update began when it was well, and which is ready since the start.
func updated(of ...rollout.Session) rollout.Speaker {
	return rollout.Speaker{Node: "n1", ReadySince: start, Sessions: of, Begun: &rollout.Begun{Sessions: []string{"r1", "r2"}}}
}

func sessions(up ...string) (all []rollout.Session) {
	for _, name := range up {
		all = append(all, rollout.Session{Name: name, Up: true})
	}
	return all
}

func down(names ...string) (all []rollout.Session) {
	for _, name := range names {
		all = append(all, rollout.Session{Name: name})
	}
	return all
}

func with(s rollout.Speaker, change func(*rollout.Speaker)) rollout.Speaker {
	change(&s)
	return s
}

func unready(s *rollout.Speaker) { s.Health, s.Why = rollout.Unready, "starts" }
func away(s *rollout.Speaker)    { s.Health = rollout.Away }

func TestGivenSpeakersWhenTheNextStepIsDecidedThenItIsThis(t *testing.T) {
	fresh := func(node string) rollout.Speaker { return with(old(node, rollout.Nothing), func(*rollout.Speaker) {}) }
	for name, row := range map[string]struct {
		speakers []rollout.Speaker
		absent   int
		limits   rollout.Limits
		after    time.Duration
		begin    string
		done     string
		waits    string
		overdue  string
		held     string
		look     time.Duration
	}{
		"all are of the wanted version": {speakers: []rollout.Speaker{fresh("n1"), fresh("n2")}},
		"the first in the order of names begins": {
			speakers: []rollout.Speaker{old("n2", rollout.InPlace), old("n1", rollout.Replace), fresh("n0")}, begin: "n1",
		},
		"as many as may be missing": {
			speakers: []rollout.Speaker{old("n1", rollout.Replace), old("n2", rollout.InPlace), old("n3", rollout.InPlace)},
			limits:   rollout.Limits{Unavailable: 2}, begin: "n1 n2",
		},
		"one that is not ready holds up the others": {
			speakers: []rollout.Speaker{with(fresh("n1"), unready), old("n2", rollout.InPlace)}, waits: "n1: starts",
		},
		"one that is not there holds up the others": {speakers: []rollout.Speaker{old("n2", rollout.InPlace)}, absent: 1},
		"one that is away does not": {
			speakers: []rollout.Speaker{with(old("n1", rollout.Replace), away), old("n2", rollout.InPlace)}, begin: "n2",
		},
		"one that went away in its update does not": {
			speakers: []rollout.Speaker{with(updated(), away), old("n2", rollout.InPlace)}, begin: "n2", done: "n1",
		},
		"what is broken and outdated is updated beside others": {
			speakers: []rollout.Speaker{with(old("n1", rollout.Replace), unready), with(old("n2", rollout.InPlace), unready), old("n3", rollout.InPlace)},
			begin:    "n1 n2",
		},
		"what was broken before holds up nobody": {
			speakers: []rollout.Speaker{
				with(fresh("n1"), func(s *rollout.Speaker) { unready(s); s.Begun = &rollout.Begun{Broken: true} }), old("n2", rollout.InPlace),
			}, begin: "n2",
		},
		"one that ends is waited for": {
			speakers: []rollout.Speaker{with(updated(), func(s *rollout.Speaker) { unready(s); s.Way, s.Ending = rollout.Replace, true }), old("n2", rollout.Replace)},
			waits:    "n1: starts",
		},
		"sessions are waited for": {
			speakers: []rollout.Speaker{updated(append(sessions("r1"), down("r2")...)...), old("n2", rollout.Replace)}, after: time.Minute,
			waits: "n1: BGP sessions that were up before the update are not yet: r2", look: wait - time.Minute,
		},
		"sessions that nobody reports are waited for": {
			speakers: []rollout.Speaker{updated(), old("n2", rollout.Replace)}, waits: "n1: BGP sessions that were up before the update are not yet: r1, r2", look: wait,
		},
		"when they are back it goes on": {speakers: []rollout.Speaker{updated(sessions("r1", "r2", "r3")...), old("n2", rollout.Replace)}, done: "n1", begin: "n2"},
		"when some are back it goes on in the end": {
			speakers: []rollout.Speaker{updated(append(sessions("r1"), down("r2")...)...), old("n2", rollout.Replace)}, after: wait,
			done: "n1", begin: "n2", overdue: "n1: BGP sessions that were up before the update are not 5m0s after it: r2",
		},
		"when none is back it does not": {
			speakers: []rollout.Speaker{updated(down("r1", "r2")...), old("n2", rollout.Replace)}, after: wait,
			waits: "n1: none of the BGP sessions that were up before the update is 5m0s after it: r1, r2",
			held:  "n1: none of the BGP sessions that were up before the update is 5m0s after it: r1, r2",
		},
		"when nobody asks for them any more it goes on in the end": {
			speakers: []rollout.Speaker{updated(), old("n2", rollout.Replace)}, after: wait,
			done: "n1", begin: "n2", overdue: "n1: BGP sessions that were up before the update are not 5m0s after it: r1, r2",
		},
		"what was noted and did not begin comes first": {
			speakers: []rollout.Speaker{old("n1", rollout.Replace), with(old("n2", rollout.Replace), func(s *rollout.Speaker) { s.Begun = &rollout.Begun{} })}, begin: "n2",
		},
		"a version that does not start stops after one": {
			speakers: []rollout.Speaker{with(updated(), unready), old("n2", rollout.Replace), old("n3", rollout.Replace)}, waits: "n1: starts",
		},
		"and is taken back at once": {
			speakers: []rollout.Speaker{with(updated(), func(s *rollout.Speaker) { unready(s); s.Way = rollout.InPlace }), fresh("n2"), fresh("n3")}, begin: "n1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if row.limits.SessionWait == 0 {
				row.limits.SessionWait = wait
			}
			in := rollout.Input{Speakers: row.speakers, Absent: row.absent, Limits: row.limits, Now: start.Add(row.after)}
			plan := rollout.Decide(in)
			var begin []string
			for _, step := range plan.Begin {
				begin = append(begin, step.Node)
				if i := slices.IndexFunc(row.speakers, func(s rollout.Speaker) bool { return s.Node == step.Node }); row.speakers[i].Way != step.Way {
					t.Errorf("%s is updated by way %d", step.Node, step.Way)
				}
			}
			for what, pair := range map[string][2]string{
				"begin": {strings.Join(begin, " "), row.begin}, "done": {strings.Join(plan.Done, " "), row.done},
				"waits": {notes(plan.Waits), row.waits}, "overdue": {notes(plan.Overdue), row.overdue}, "held": {notes(plan.Held), row.held},
				"look again": {plan.LookAgain.String(), row.look.String()},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %q, wanted %q", what, pair[0], pair[1])
				}
			}
			slices.Reverse(row.speakers)
			if diff := cmp.Diff(plan, rollout.Decide(in)); diff != "" {
				t.Errorf("in another order:\n%s", diff)
			}
		})
	}
}

func notes(all []rollout.Note) string {
	var texts []string
	for _, one := range all {
		texts = append(texts, one.Node+": "+one.Why)
	}
	return strings.Join(texts, "; ")
}

// What is noted are the sessions that are up, and later what was noted at first.
func TestGivenAnUpdateThatBeginsWhenItIsNotedThenTheSessionsAreThoseOfWhenTheNodeWasWell(t *testing.T) {
	s := old("n1", rollout.Replace)
	s.Sessions = append(down("r0"), sessions("r2", "r1")...)
	decide := func() rollout.Begun {
		plan := rollout.Decide(rollout.Input{Speakers: []rollout.Speaker{s}, Limits: rollout.Limits{SessionWait: wait}, Now: start})
		if len(plan.Begin) != 1 {
			t.Fatalf("%+v", plan)
		}
		return plan.Begin[0].Note
	}
	first := decide()
	if diff := cmp.Diff(rollout.Begun{Sessions: []string{"r1", "r2"}}, first); diff != "" {
		t.Error(diff)
	}
	unready(&s)
	s.Begun, s.Sessions = &first, down("r1", "r2")
	if diff := cmp.Diff(first, decide()); diff != "" {
		t.Errorf("when another version is wanted meanwhile: %s", diff)
	}
	s.Begun = nil
	if diff := cmp.Diff(rollout.Begun{Broken: true}, decide()); diff != "" {
		t.Errorf("of a node that was not well: %s", diff)
	}
}

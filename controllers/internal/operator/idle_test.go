package operator

import (
	"testing"
	"time"
)

// Given FRR that runs and whether anything asks for it, when that is looked at over time, then FRR may go ten minutes after the last object went, at
// once where it does not run, and never while it is needed.
func TestIdleness(t *testing.T) {
	type look struct {
		after           time.Duration
		needed, running bool
		idle            bool
		wait            time.Duration
	}
	for name, looks := range map[string][]look{
		"never needed":     {{idle: true}, {after: time.Hour, idle: true}},
		"needed":           {{needed: true}, {after: time.Hour, needed: true, running: true}},
		"needed from late": {{idle: true}, {after: time.Hour, needed: true}, {after: time.Hour, needed: true, running: true}},
		"needed no more": {
			{needed: true, running: true}, {after: time.Hour, running: true, wait: 10 * time.Minute}, {after: 4 * time.Minute, running: true, wait: 6 * time.Minute},
			{after: 6 * time.Minute, running: true, idle: true}, {after: time.Second, running: true, idle: true}, {after: time.Second, idle: true},
		},
		"needed again in time": {
			{running: true, wait: 10 * time.Minute}, {after: 9 * time.Minute, needed: true, running: true}, {after: 9 * time.Minute, running: true, wait: 10 * time.Minute},
		},
		"of the operator before": {{running: true, wait: 10 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			var i idleness
			now := start
			for at, l := range looks {
				now = now.Add(l.after)
				if idle, wait := i.look(l.needed, l.running, now); idle != l.idle || wait != l.wait {
					t.Errorf("look %d: idle %t, again after %s; wanted %t, %s", at, idle, wait, l.idle, l.wait)
				}
			}
		})
	}
}

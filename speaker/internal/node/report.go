package node

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
)

// Publisher tells the world how a pass went.
type Publisher interface {
	// Publish takes a Report over. It must return at once: what is slow, such as writing to the API, is not the Loop's to wait for.
	Publish(Report)
}

// Publishers are several that get the same Reports, which none of them may change.
type Publishers []Publisher

// Publish implements Publisher.
func (p Publishers) Publish(r Report) {
	for _, publisher := range p {
		publisher.Publish(r)
	}
}

// Outcome is how a pass ended.
type Outcome int

const (
	// Applied means: FRR runs what is wanted.
	Applied Outcome = iota + 1
	// Refused means: FRR, or the renderer before it, does not take the configuration. The one before stays in force. Only other input helps.
	Refused
	// Unreachable means: the reloader does not answer, for longer than it takes to start. What ran before runs on.
	Unreachable
	// Failed means: anything else went wrong. What ran before runs on.
	Failed
	// Absent means: BGP is wanted, and the speaker was started without FRR.
	Absent
	// Pending means: FRR is being given the configuration, or is about to be. What comes of it is in a later Report.
	Pending
)

// Report is the result of one pass.
type Report struct {
	// Node is what was decided, and InForce tells whether FRR runs it. With the Outcome Refused it may: what concerns BGP was then decided under
	// the last configuration that FRR took, so that Services go on coming and going. What Node says of layer 2 is in force whatever the Outcome.
	Node    announce.Node
	InForce bool
	// Objects are those that what FRR runs was made of; meaningful with InForce alone.
	Objects []intent.Applied
	// Noticed is when the first of the changes was noticed that FRR did not run yet when it last ran what was wanted; zero when there was none.
	// Meaningful with the Outcome Applied alone.
	Noticed time.Time
	// LeftOut is the raw configuration of users that FRR refuses, so that it is in force without it.
	LeftOut []frr.LeftOut
	// Problems are those of the configuration.
	Problems []intent.Problem
	// Drain is how far the node is with giving up its BGP routes. It is done with a stage when InForce is true.
	Drain   Drain
	Outcome Outcome
	// Words explain an Outcome other than Applied and Pending: FRR's own for Refused.
	Words string
	// Away says which daemons of FRR have ended or do not answer, "" when none: "bgpd does not answer". It is so whatever the Outcome.
	Away string
	// Applies are what was done to FRR since the Report before, in order; none when nothing had to be.
	Applies []Application
	// Pass is how long deciding took since the Report before, without Apply.
	Pass time.Duration
}

// Application is what one Apply did.
type Application struct {
	// How is "unchanged" when FRR ran the configuration already, "delta", "full", "refused" when FRR does not take it, or "failed" when it was not
	// given to FRR, or not known to run afterwards, for any other reason.
	How      string
	Duration time.Duration
}

// failing returns the objects with what FRR said of those whose raw configuration is left out.
func failing(objects []intent.Applied, leftOut []frr.LeftOut) []intent.Applied {
	if len(leftOut) == 0 {
		return objects
	}
	objects = slices.Clone(objects)
	for i := range objects {
		o := &objects[i]
		for _, left := range leftOut {
			kind, name, _ := strings.Cut(left.Section, " ")
			if _, name, _ = strings.Cut(name, "/"); kind == o.Kind && name == o.Name {
				o.Failure = left.String()
			}
		}
	}
	return objects
}

package publish

import (
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// standing is what reports say together: each tells only of what it is about.
type standing struct {
	// node is in force: by BGP what FRR runs, on layer 2 what was decided last.
	node announce.Node
	// routed is true once anything was in force by BGP: before that, what an earlier process had announced may still be.
	routed bool
	// objects are those that what FRR runs was made of; meaningful once routed.
	objects []intent.Applied
	// reached is the stage of the node's drain that FRR runs.
	reached announce.Drain
	// report is the last one, with the last Outcome that says something of FRR, 0 before there was one.
	report node.Report
}

// after returns what is known after another report.
func (s standing) after(r node.Report) standing {
	if r.InForce {
		s.node, s.routed, s.objects, s.reached = r.Node, true, r.Objects, r.Drain.Stage
	} else {
		s.node = s.node.WithLayer2(r.Node)
	}
	if r.Outcome == node.Pending {
		r.Outcome, r.Words, r.LeftOut = s.report.Outcome, s.report.Words, s.report.LeftOut
	}
	s.report = r
	return s
}

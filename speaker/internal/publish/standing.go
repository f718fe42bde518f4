package publish

import (
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// standing is what reports say together: each tells only of what it is about.
type standing struct {
	// node is in force: by BGP what FRR runs, on layer 2 what was decided last.
	node announce.Node
	// routed is true once anything was in force by BGP: before that, what an earlier process had announced may still be.
	routed bool
	// report is the last one, with the last Outcome that says something of FRR, 0 before there was one.
	report node.Report
}

// after returns what is known after another report.
func (s standing) after(r node.Report) standing {
	if r.InForce {
		s.node, s.routed = r.Node, true
	} else {
		s.node = withLayer2(s.node, r.Node)
	}
	if r.Outcome == node.Pending {
		r.Outcome, r.Words = s.report.Outcome, s.report.Words
	}
	s.report = r
	return s
}

// withLayer2 returns a node with what another one has of layer 2.
func withLayer2(n, other announce.Node) announce.Node {
	all := make([]*announce.Verdict, 0, max(len(n.Verdicts), len(other.Verdicts)))
	rest := next(other.Verdicts)
	for _, v := range n.Verdicts {
		if v.Protocol == announce.ProtocolLayer2 {
			continue
		}
		for len(rest) > 0 && rest[0].Compare(v) < 0 {
			all, rest = append(all, rest[0]), next(rest[1:])
		}
		all = append(all, v)
	}
	for len(rest) > 0 {
		all, rest = append(all, rest[0]), next(rest[1:])
	}
	n.L2, n.Verdicts = other.L2, all
	return n
}

// next skips to the first verdict on layer 2.
func next(verdicts []*announce.Verdict) []*announce.Verdict {
	for len(verdicts) > 0 && verdicts[0].Protocol != announce.ProtocolLayer2 {
		verdicts = verdicts[1:]
	}
	return verdicts
}

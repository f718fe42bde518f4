package members

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fencing says when a member that has lost sight of others stops to claim addresses.
type Fencing uint8

const (
	// FenceProven stops when a witness has proved that the others live, and they are more: never for the mere absence of somebody.
	FenceProven Fencing = iota
	// FenceStrict stops as soon as less than half of the members is in sight, dead or not.
	FenceStrict
	// FenceOff never stops.
	FenceOff
)

// absent is a member that should be there and is not.
type absent struct {
	name string
	// proven says that a witness has seen it live since it was lost.
	proven bool
}

// quorate decides whether the members in sight, this one among them, may claim addresses, and says why not. The page docs/decisions/l2-fencing.md
// tells what each rule loses. All sides of a split come to fitting answers: under FenceProven at least one side claims, under FenceStrict at
// most one.
func quorate(mode Fencing, alive []string, lost []absent) (bool, string) {
	if mode == FenceOff {
		return true, ""
	}
	var others []string
	for _, a := range lost {
		if mode == FenceStrict || a.proven {
			others = append(others, a.name)
		}
	}
	if len(alive) > len(others) {
		return true, ""
	}
	// Who holds the first name of all is on the one side that claims where no side is the larger one, and where there are many small sides.
	first := slices.Min(alive) < slices.Min(others)
	if first && (mode == FenceProven || len(alive) == len(others)) {
		return true, ""
	}
	slices.Sort(others)
	how := "are missing"
	if mode == FenceProven {
		how = "live, as the API server says, and cannot be reached"
	}
	return false, fmt.Sprintf("cut off: %d of %d members are in sight; %s %s", len(alive), len(alive)+len(others), shorten(others), how)
}

// shorten lists the first names only: a reason is read by people.
func shorten(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// proofs is what a witness told of lost members.
type proofs map[string]proof

type proof struct {
	mark string
	// changed is when the mark changed while the member was out of sight; zero when it has not.
	changed time.Time
}

// proofLasts is how long a sign of life proves that a node lives: kubelets renew their Lease every 10 s, and Kubernetes gives a node up after
// 40 s.
const proofLasts = 40 * time.Second

// learn returns what is known after a witness has answered about the members that are lost. The first mark proves nothing: it may be from before
// the member was lost, and the clocks of other nodes are not to be compared with. An empty mark is a speaker that is not running.
func (p proofs) learn(marks map[string]string, lost []string, now time.Time) proofs {
	out := make(proofs, len(lost))
	for _, name := range lost {
		mark, before := marks[name], p[name]
		switch {
		case mark == "":
		case before.mark == "" || before.mark == mark:
			out[name] = proof{mark, before.changed}
		default:
			out[name] = proof{mark, now}
		}
	}
	return out
}

// proven says whether the member lives. Between two answers of the witness nothing changes, so that an absent API server changes nothing.
func (p proofs) proven(name string, lastAnswer time.Time) bool {
	changed := p[name].changed
	return !changed.IsZero() && lastAnswer.Sub(changed) < proofLasts
}

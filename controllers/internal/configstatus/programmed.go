package configstatus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// object names an object that speakers apply.
type object struct{ kind, name string }

// speaker is what the speaker of one node says in its ConfigurationState.
type speaker struct {
	// objects are those in force there, with the generation that is.
	objects map[object]int64
	// failed are those of them that FRR refuses by themselves, with its words.
	failed map[object]string
	// failure says why FRR there does not run what the valid objects ask for, "" when it does.
	failure string
	// drained says why the node has given up its routes, "" when it has not.
	drained string
	// links are the node's links that can carry layer 2, none when that is not known.
	links []string
}

// speakers are those that have reported, by the name of their node.
type speakers map[string]speaker

// speakerPrefix is what the names of the speakers' ConfigurationStates begin with; the name of the node follows.
const speakerPrefix = v1beta1.ComponentSpeaker + "-"

// isSpeaker tells whether a ConfigurationState is one that a speaker writes.
func isSpeaker(o client.Object) bool {
	return strings.HasPrefix(o.GetName(), speakerPrefix) && o.GetLabels()[v1beta1.LabelComponentType] == v1beta1.ComponentSpeaker
}

// readSpeakers reads what all speakers report.
func readSpeakers(ctx context.Context, c client.Reader, namespace string) (speakers, error) {
	var states v1beta1.ConfigurationStateList
	if err := c.List(ctx, &states, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing ConfigurationStates: %w", err)
	}
	all := speakers{}
	for i := range states.Items {
		if state := &states.Items[i]; isSpeaker(state) {
			all[strings.TrimPrefix(state.Name, speakerPrefix)] = speakerOf(&state.Status)
		}
	}
	return all, nil
}

func speakerOf(status *v1beta1.ConfigurationStateStatus) speaker {
	s := speaker{objects: make(map[object]int64, len(status.Objects)), drained: drained(status.Conditions), links: status.Links}
	for _, o := range status.Objects {
		s.objects[object{o.Kind, o.Name}] = o.Generation
		if o.Failure != "" {
			if s.failed == nil {
				s.failed = map[object]string{}
			}
			s.failed[object{o.Kind, o.Name}] = o.Failure
		}
	}
	if c := meta.FindStatusCondition(status.Conditions, v1beta1.ConditionProgrammed); c != nil && c.Status == metav1.ConditionFalse {
		s.failure = c.Message
	}
	return s
}

// scope is where objects are to be in force.
type scope struct {
	nodes    []intent.RawNode
	snapshot intent.Snapshot
	// usable has the generation of each object that can be in force: the rest lacks something that it names, or is not valid.
	usable map[object]int64
}

func newScope(nodes []intent.RawNode, snapshot intent.Snapshot) *scope {
	s := &scope{nodes: nodes, snapshot: snapshot, usable: map[object]int64{}}
	for _, a := range snapshot.Applied() {
		s.usable[object{a.Kind, a.Name}] = a.Generation
	}
	return s
}

// of returns the nodes that an object in force concerns, sorted, or why it concerns none. A BFDProfile and a Community say nothing of nodes, and
// concern all.
func (s *scope) of(o object) (nodes []string, none string) {
	switch o.kind {
	case intent.KindPeer:
		i := slices.IndexFunc(s.snapshot.Peers, func(p intent.Peer) bool { return p.Name == o.name })
		if i < 0 {
			return nil, "no node opens the session"
		}
		nodes = s.where(s.snapshot.Peers[i].Nodes.MatchesOrEmpty)
		none = "its nodeSelectors select none of the nodes there are"
	case intent.KindBGPAdvertisement:
		i := slices.IndexFunc(s.snapshot.BGPAdvertisements, func(a intent.BGPAdvertisement) bool { return a.Name == o.name })
		if i < 0 {
			return nil, "it is for no pool and no peer that are in force"
		}
		a := &s.snapshot.BGPAdvertisements[i]
		if len(s.where(a.Nodes.MatchesOrEmpty)) == 0 {
			return nil, "its nodeSelectors select none of the nodes there are"
		}
		nodes = s.where(func(labels map[string]string) bool { return a.Nodes.MatchesOrEmpty(labels) && s.hasPeer(a, labels) })
		none = "no BGPPeer that it is for is in force on a node that it selects"
	case intent.KindSnippet:
		i := slices.IndexFunc(s.snapshot.Snippets, func(n intent.Snippet) bool { return n.Ref.Kind == o.kind && n.Ref.Name == o.name })
		if i < 0 {
			return nil, "there is nothing in it"
		}
		nodes = s.where(s.snapshot.Snippets[i].Nodes.MatchesOrEmpty)
		none = "its nodeSelectors select none of the nodes there are"
	default:
		nodes = s.where(func(map[string]string) bool { return true })
		none = "there are no nodes"
	}
	if len(nodes) > 0 {
		none = ""
	}
	return nodes, none
}

func (s *scope) where(selected func(labels map[string]string) bool) []string {
	var names []string
	for i := range s.nodes {
		if selected(s.nodes[i].Labels) {
			names = append(names, s.nodes[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// hasPeer tells whether a node with the labels opens a session that the advertisement is for.
func (s *scope) hasPeer(a *intent.BGPAdvertisement, labels map[string]string) bool {
	return slices.ContainsFunc(s.snapshot.Peers, func(p intent.Peer) bool {
		return (len(a.Peers) == 0 || slices.Contains(a.Peers, p.Name)) && p.Nodes.MatchesOrEmpty(labels)
	})
}

// programmed is the condition Programmed of an object of that generation, which can be in force or not.
func programmed(o object, generation int64, usable bool, where *scope, all speakers) metav1.Condition {
	c := metav1.Condition{Type: v1beta1.ConditionProgrammed, Status: metav1.ConditionFalse}
	if !usable {
		c.Reason, c.Message = v1beta1.ReasonNotAccepted, "not in force as it is: see the conditions Accepted and ResolvedRefs"
		return c
	}
	nodes, none := where.of(o)
	if none != "" {
		c.Reason, c.Message = v1beta1.ReasonNoMatchingNode, none
		return c
	}
	var done int
	var pending []string
	failed := map[string][]string{}
	for _, node := range nodes {
		switch s, reports := all[node]; {
		case !reports: // no speaker runs there, or it has not begun yet
		case has(s, o, generation) && s.failed[o] != "":
			failed[s.failed[o]] = append(failed[s.failed[o]], node)
		case has(s, o, generation):
			done++
		case s.failure != "":
			failed[s.failure] = append(failed[s.failure], node)
		default:
			pending = append(pending, node)
		}
	}
	switch {
	case len(failed) > 0:
		c.Reason, c.Message = v1beta1.ReasonApplyFailed, failures(failed)
	case len(pending) > 0:
		c.Reason, c.Message = v1beta1.ReasonPending, "not in force yet on "+onNodes(pending)
	case done == 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1beta1.ReasonPending
		c.Message = "no speaker reports from " + onNodes(nodes) + ", which it concerns"
	default:
		// No numbers here: while speakers are replaced, one after the other, nothing is to be written.
		c.Status, c.Reason = metav1.ConditionTrue, v1beta1.ReasonProgrammed
		c.Message = "in force on every node that it concerns and that has a speaker"
	}
	return c
}

func has(s speaker, o object, generation int64) bool {
	have, ok := s.objects[o]
	return ok && have == generation
}

const (
	// shownNodes is how many nodes a message names, shownFailures how many different ones it repeats.
	shownNodes    = 5
	shownFailures = 3
)

// onNodes lists nodes, as many as are of use to a reader.
func onNodes(nodes []string) string {
	word := "node "
	if len(nodes) > 1 {
		word = "nodes "
	}
	if more := len(nodes) - shownNodes; more > 0 {
		return fmt.Sprintf("%s%s and %d more", word, strings.Join(nodes[:shownNodes], ", "), more)
	}
	return word + strings.Join(nodes, ", ")
}

// failures lists what went wrong, the most frequent first, with the nodes where it did.
func failures(failed map[string][]string) string {
	words := slices.SortedFunc(maps.Keys(failed), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(failed[b]), len(failed[a])), cmp.Compare(a, b))
	})
	var lines []string
	for i, w := range words {
		if i == shownFailures {
			lines = append(lines, fmt.Sprintf("%d others, see the ConfigurationStates", len(words)-i))
			break
		}
		lines = append(lines, onNodes(failed[w])+": "+w)
	}
	return strings.Join(lines, "; ")
}

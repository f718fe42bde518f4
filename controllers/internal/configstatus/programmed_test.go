package configstatus

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

func machine(name, rack string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"rack": rack}}}
}

func rack(name string) []metav1.LabelSelector {
	return []metav1.LabelSelector{{MatchLabels: map[string]string{"rack": name}}}
}

func bgpPeer(name, address string, nodes ...metav1.LabelSelector) *v1beta2.BGPPeer {
	return &v1beta2.BGPPeer{ObjectMeta: named(name), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: address, NodeSelectors: nodes}}
}

// state is the ConfigurationState of a node's speaker that has the objects in force, each in the generation given. failure is "" where FRR runs
// what it is to.
func state(node, failure string, objects ...v1beta1.AppliedObject) *v1beta1.ConfigurationState {
	s := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "speaker-" + node,
		Labels: map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentSpeaker}}}
	s.Status.Objects = objects
	c := metav1.Condition{Type: v1beta1.ConditionProgrammed, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonProgrammed}
	if failure != "" {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1beta1.ReasonApplyFailed, failure
	}
	s.Status.Conditions = []metav1.Condition{c}
	return s
}

func has3(kind string, names ...string) []v1beta1.AppliedObject {
	var all []v1beta1.AppliedObject
	for _, name := range names {
		all = append(all, v1beta1.AppliedObject{Kind: kind, Name: name, Generation: 3})
	}
	return all
}

func TestGivenWhatSpeakersReportWhenReconciledThenProgrammedSaysWhereAPeerIsInForce(t *testing.T) {
	old := v1beta1.AppliedObject{Kind: intent.KindPeer, Name: "tor", Generation: 2}
	refusal := `FRR refuses the configuration and keeps running the one before: FRR refuses line 12 "neighbor": % Unknown`
	rows := map[string]struct {
		states []*v1beta1.ConfigurationState
		status metav1.ConditionStatus
		reason string
		text   string
	}{
		"nobody reports": {nil, metav1.ConditionUnknown, v1beta1.ReasonPending, "no speaker reports from nodes n1, n2, which it concerns"},
		"all have it":    {[]*v1beta1.ConfigurationState{state("n1", "", has3("BGPPeer", "tor")...), state("n2", "", has3("BGPPeer", "tor")...)}, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "in force on every node"},
		"one node has no speaker": {[]*v1beta1.ConfigurationState{state("n1", "", has3("BGPPeer", "tor")...)},
			metav1.ConditionTrue, v1beta1.ReasonProgrammed, "that has a speaker"},
		"one has what it said before": {[]*v1beta1.ConfigurationState{state("n1", "", has3("BGPPeer", "tor")...), state("n2", "", old)},
			metav1.ConditionFalse, v1beta1.ReasonPending, "not in force yet on node n2"},
		"one has not seen it": {[]*v1beta1.ConfigurationState{state("n1", ""), state("n2", "", has3("BGPPeer", "tor")...)},
			metav1.ConditionFalse, v1beta1.ReasonPending, "not in force yet on node n1"},
		"one that it does not concern has not": {[]*v1beta1.ConfigurationState{state("n1", "", has3("BGPPeer", "tor")...), state("n2", "", has3("BGPPeer", "tor")...), state("n3", "")},
			metav1.ConditionTrue, v1beta1.ReasonProgrammed, ""},
		"FRR refuses it on one": {[]*v1beta1.ConfigurationState{state("n1", "", has3("BGPPeer", "tor")...), state("n2", refusal, old)},
			metav1.ConditionFalse, v1beta1.ReasonApplyFailed, "node n2: " + refusal},
		"FRR refuses it on both, and waits for the other": {[]*v1beta1.ConfigurationState{state("n1", refusal), state("n2", refusal, old)},
			metav1.ConditionFalse, v1beta1.ReasonApplyFailed, "nodes n1, n2: " + refusal},
		"FRR refuses something later": {[]*v1beta1.ConfigurationState{state("n1", refusal, has3("BGPPeer", "tor")...), state("n2", refusal, has3("BGPPeer", "tor")...)},
			metav1.ConditionTrue, v1beta1.ReasonProgrammed, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			peer := bgpPeer("tor", "192.0.2.1", rack("a")...)
			objects := []client.Object{pod(), machine("n1", "a"), machine("n2", "a"), machine("n3", "b"), peer}
			for _, s := range row.states {
				objects = append(objects, s)
			}
			h := newHarness(t, objects...)
			h.pass(t)
			have := conditions(t, h.client, peer)
			expect(t, have, v1beta1.ConditionProgrammed, row.status, row.reason, row.text)
			if c := meta.FindStatusCondition(have, v1beta1.ConditionProgrammed); c == nil || c.ObservedGeneration != 3 {
				t.Errorf("condition %+v, want one of generation 3", c)
			}
			writes := h.writes
			if h.pass(t); h.writes != writes {
				t.Errorf("a second pass wrote %d times", h.writes-writes)
			}
		})
	}
}

func TestGivenAPeerThatIsNotValidWhenReconciledThenTheOthersAreProgrammedAllTheSame(t *testing.T) {
	bad := bgpPeer("bad", "nowhere")
	good := bgpPeer("good", "192.0.2.1")
	h := newHarness(t, pod(), machine("n1", "a"), bad, good, state("n1", "", has3("BGPPeer", "good")...))
	h.pass(t)
	expect(t, conditions(t, h.client, bad), v1beta1.ConditionProgrammed, metav1.ConditionFalse, v1beta1.ReasonNotAccepted, "see the conditions Accepted and ResolvedRefs")
	expect(t, conditions(t, h.client, good), v1beta1.ConditionProgrammed, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
}

func TestGivenAdvertisementsWhenReconciledThenTheyConcernTheNodesWithAPeerThatTheyAreFor(t *testing.T) {
	advertise := func(name, onRack string, peers ...string) *v1beta1.BGPAdvertisement {
		ad := &v1beta1.BGPAdvertisement{ObjectMeta: named(name), Spec: v1beta1.BGPAdvertisementSpec{IPAddressPools: []string{"pool"}, Peers: peers}}
		if onRack != "" {
			ad.Spec.NodeSelectors = rack(onRack)
		}
		return ad
	}
	all, here, elsewhere, nowhere := advertise("all", ""), advertise("here", "a", "tor"), advertise("elsewhere", "b", "tor"), advertise("nowhere", "c")
	h := newHarness(t, pod(), pool("pool", "192.0.2.0/24"), machine("n1", "a"), machine("n2", "b"), bgpPeer("tor", "192.0.2.1", rack("a")...),
		all, here, elsewhere, nowhere, state("n1", "", has3("BGPAdvertisement", "all", "here")...), state("n2", ""))
	h.pass(t)
	for ad, want := range map[*v1beta1.BGPAdvertisement]struct {
		status metav1.ConditionStatus
		reason string
		text   string
	}{
		all:       {metav1.ConditionTrue, v1beta1.ReasonProgrammed, ""},
		here:      {metav1.ConditionTrue, v1beta1.ReasonProgrammed, ""},
		elsewhere: {metav1.ConditionFalse, v1beta1.ReasonNoMatchingNode, "no BGPPeer that it is for is in force on a node that it selects"},
		nowhere:   {metav1.ConditionFalse, v1beta1.ReasonNoMatchingNode, "nodeSelectors select none"},
	} {
		t.Run(ad.Name, func(t *testing.T) {
			expect(t, conditions(t, h.client, ad), v1beta1.ConditionProgrammed, want.status, want.reason, want.text)
		})
	}
}

func TestGivenHundredNodesWhenTheyFailThenTheMessageStaysReadable(t *testing.T) {
	where, all := &scope{}, speakers{}
	for i := range 100 {
		node := fmt.Sprintf("n%03d", i)
		where.nodes = append(where.nodes, intent.RawNode{Name: node})
		all[node] = speaker{failure: fmt.Sprintf("reason %d", i%10/2)}
	}
	c := programmed(object{intent.KindCommunity, "c"}, 1, true, where, all)
	want := "nodes n000, n001, n010, n011, n020 and 15 more: reason 0; "
	if c.Reason != v1beta1.ReasonApplyFailed || !strings.HasPrefix(c.Message, want) || !strings.HasSuffix(c.Message, "; 2 others, see the ConfigurationStates") || len(c.Message) > 400 {
		t.Errorf("condition %+v, want one that begins with %q", c, want)
	}
}

func TestGivenRawConfigurationThatFRRRefusesOnOneNodeWhenReconciledThenItSaysWhereAndWhy(t *testing.T) {
	snippet := func(name string, nodes ...metav1.LabelSelector) *v1beta1.FRRSnippet {
		return &v1beta1.FRRSnippet{ObjectMeta: named(name), Spec: v1beta1.FRRSnippetSpec{RawConfig: "a\n", NodeSelectors: nodes}}
	}
	bad, good, elsewhere, nowhere := snippet("bad"), snippet("good"), snippet("elsewhere", rack("b")...), snippet("nowhere", rack("c")...)
	control := &v1beta1.FRRSnippet{ObjectMeta: named("control"), Spec: v1beta1.FRRSnippetSpec{RawConfig: "\x01"}}
	refused := v1beta1.AppliedObject{Kind: intent.KindSnippet, Name: "bad", Generation: 3, Failure: `FRR refuses line 1 "a": % Unknown command`}
	h := newHarness(t, pod(), machine("n1", "a"), machine("n2", "b"), bad, good, elsewhere, nowhere, control,
		state("n1", "", append(has3(intent.KindSnippet, "good", "elsewhere"), refused)...), state("n2", "", has3(intent.KindSnippet, "bad", "good")...))
	h.pass(t)
	for snippet, want := range map[*v1beta1.FRRSnippet]struct {
		status metav1.ConditionStatus
		reason string
		text   string
	}{
		bad:       {metav1.ConditionFalse, v1beta1.ReasonApplyFailed, `node n1: FRR refuses line 1 "a": % Unknown command`},
		good:      {metav1.ConditionTrue, v1beta1.ReasonProgrammed, ""},
		elsewhere: {metav1.ConditionFalse, v1beta1.ReasonPending, "node n2"},
		nowhere:   {metav1.ConditionFalse, v1beta1.ReasonNoMatchingNode, "nodeSelectors select none"},
		control:   {metav1.ConditionFalse, v1beta1.ReasonNotAccepted, "Accepted"},
	} {
		expect(t, conditions(t, h.client, snippet), v1beta1.ConditionProgrammed, want.status, want.reason, want.text)
	}
	expect(t, conditions(t, h.client, bad), v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	expect(t, conditions(t, h.client, control), v1beta1.ConditionAccepted, metav1.ConditionFalse, v1beta1.ReasonInvalid, "control character")
}

func TestEachKindOfBGPHasItsConditionsAsOfTheGenerationThatWasJudged(t *testing.T) {
	peer := &v1beta2.BGPPeer{ObjectMeta: named("tor"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1"}}
	ad := &v1beta1.BGPAdvertisement{ObjectMeta: named("ad")}
	profile := &v1beta1.BFDProfile{ObjectMeta: named("fast")}
	community := &v1beta1.Community{ObjectMeta: named("community"), Spec: v1beta1.CommunitySpec{Communities: []v1beta1.CommunityAlias{{Name: "a", Value: "1:2"}}}}
	snippet := &v1beta1.FRRSnippet{ObjectMeta: named("raw"), Spec: v1beta1.FRRSnippetSpec{RawConfig: "a\n"}}
	all := map[string]struct {
		object client.Object
		have   *[]metav1.Condition
		refs   bool
	}{
		intent.KindPeer:             {peer, &peer.Status.Conditions, true},
		intent.KindBGPAdvertisement: {ad, &ad.Status.Conditions, true},
		intent.KindBFDProfile:       {profile, &profile.Status.Conditions, false},
		intent.KindCommunity:        {community, &community.Status.Conditions, false},
		intent.KindSnippet:          {snippet, &snippet.Status.Conditions, false},
	}
	var applied []v1beta1.AppliedObject
	objects := []client.Object{pool("p", "198.51.100.0/24"), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}
	for kind, one := range all {
		objects = append(objects, one.object)
		applied = append(applied, v1beta1.AppliedObject{Kind: kind, Name: one.object.GetName(), Generation: one.object.GetGeneration()})
	}
	h := newHarness(t, append(objects, state("n1", "", applied...))...)
	h.pass(t)
	for kind, one := range all {
		if err := h.client.Get(t.Context(), client.ObjectKeyFromObject(one.object), one.object); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{v1beta1.ConditionAccepted: v1beta1.ReasonAccepted, v1beta1.ConditionProgrammed: v1beta1.ReasonProgrammed}
		if one.refs {
			want[v1beta1.ConditionResolvedRefs] = v1beta1.ReasonResolvedRefs
		}
		got := map[string]string{}
		for _, c := range *one.have {
			if got[c.Type] = c.Reason; c.Status != metav1.ConditionTrue || c.ObservedGeneration != one.object.GetGeneration() {
				t.Errorf("%s has %+v, want it True and as of generation %d", kind, c, one.object.GetGeneration())
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s has the conditions %v, want %v", kind, got, want)
		}
	}
}

package publish

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

func svc(name string) ipam.ServiceKey { return ipam.ServiceKey{Namespace: "default", Name: name} }

func yes(name, address string, peers ...string) *announce.Verdict {
	return &announce.Verdict{Service: svc(name), Address: netip.MustParseAddr(address), Pool: "pool", Protocol: announce.ProtocolBGP, Announce: true, Peers: peers}
}

func no(name, address string, code announce.ReasonCode) *announce.Verdict {
	v := &announce.Verdict{Service: svc(name), Protocol: announce.ProtocolBGP, Reason: announce.Reason{Code: code, Detail: "because"}}
	if address != "" {
		v.Address = netip.MustParseAddr(address)
	}
	return v
}

func verdicts(list ...*announce.Verdict) announce.Node { return announce.Node{Verdicts: list} }

func TestGivenTwoDecisionsWhenComparedThenEveryChangeIsLoggedOnceWithItsReason(t *testing.T) {
	rows := map[string]struct {
		before, after announce.Node
		want          []string
	}{
		"a new Service": {verdicts(), verdicts(yes("a", "10.0.0.1", "tor")),
			[]string{`"msg":"service has IP, announcing","event":"serviceAnnounced","service":"default/a","ips":["10.0.0.1"],"pool":"pool","protocol":"bgp","peers":["tor"]}`}},
		"two addresses of one": {verdicts(), verdicts(yes("a", "10.0.0.1", "tor"), yes("a", "2001:db8::1", "tor")),
			[]string{`"ips":["10.0.0.1","2001:db8::1"]`}},
		"nothing new":       {verdicts(yes("a", "10.0.0.1")), verdicts(yes("a", "10.0.0.1")), nil},
		"never announced":   {verdicts(), verdicts(no("a", "10.0.0.1", announce.ReasonNoEndpoints)), nil},
		"the last endpoint": {verdicts(yes("a", "10.0.0.1")), verdicts(no("a", "10.0.0.1", announce.ReasonNoEndpoints)), []string{`"event":"serviceWithdrawn","service":"default/a","ip":["10.0.0.1"],"pool":"pool","protocol":"bgp","reason":"noEndpoints","detail":"because"}`}},
		"the Service":       {verdicts(yes("a", "10.0.0.1")), verdicts(), []string{`"reason":"serviceDeleted"`}},
		"the address":       {verdicts(yes("a", "10.0.0.1")), verdicts(no("a", "", announce.ReasonNoAddress)), []string{`"reason":"noIPAllocated"`}},
		"another address":   {verdicts(yes("a", "10.0.0.1")), verdicts(yes("a", "10.0.0.2")), []string{`"event":"serviceAnnounced","service":"default/a","ips":["10.0.0.2"]`, `"reason":"loadBalancerIPChanged"`}},
		"the last L2Advertisement": {verdicts(yes("a", "10.0.0.1", "tor"), on("a", "10.0.0.1", "n1")), verdicts(yes("a", "10.0.0.1", "tor")), []string{
			`"event":"serviceWithdrawn","service":"default/a","ip":["10.0.0.1"],"pool":"pool","protocol":"layer2","reason":"noMatchingAdvertisement"`}},
		"the last L2Advertisement, and nothing else": {verdicts(no("a", "10.0.0.1", announce.ReasonNoPeer), on("a", "10.0.0.1", "n1")), verdicts(no("a", "10.0.0.1", announce.ReasonNoPeer)),
			[]string{`"protocol":"layer2","reason":"noMatchingAdvertisement"`}},
		"the pool":             {verdicts(no("a", "10.0.0.1", announce.ReasonNoPeer), on("a", "10.0.0.1", "n1")), verdicts(no("a", "10.0.0.1", announce.ReasonNotAllowed)), []string{`"protocol":"layer2","reason":"ipNotAllowed","detail":"because"`}},
		"by layer 2":           {verdicts(), verdicts(on("a", "10.0.0.1", "n1")), []string{`"event":"serviceAnnounced","service":"default/a","ips":["10.0.0.1"],"pool":"pool","protocol":"layer2"}`}},
		"taken over":           {verdicts(on("a", "10.0.0.1", "n2")), verdicts(on("a", "10.0.0.1", "n1")), []string{`"event":"serviceAnnounced","service":"default/a","ips":["10.0.0.1"],"pool":"pool","protocol":"layer2","from":"n2"}`}},
		"given away":           {verdicts(on("a", "10.0.0.1", "n1")), verdicts(on("a", "10.0.0.1", "n2")), []string{`"reason":"notOwner","detail":"node n2 announces it: hash","to":"n2"}`}},
		"from one to another":  {verdicts(on("a", "10.0.0.1", "n2")), verdicts(on("a", "10.0.0.1", "n3")), nil},
		"one of two addresses": {verdicts(yes("a", "10.0.0.1"), yes("a", "10.0.0.2")), verdicts(yes("a", "10.0.0.1"), no("a", "10.0.0.2", announce.ReasonNotAllowed)), []string{`"ip":["10.0.0.2"],"pool":"pool","protocol":"bgp","reason":"ipNotAllowed"`}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			log, err := logging.New(&out, "info")
			if err != nil {
				t.Fatal(err)
			}
			lines := transitions(row.before, row.after)
			if len(lines) != len(row.want) {
				t.Fatalf("lines %+v, want %d", lines, len(row.want))
			}
			for i, l := range lines {
				out.Reset()
				l.log(context.Background(), log)
				if !strings.Contains(out.String(), row.want[i]) {
					t.Errorf("logged %s, want it to hold %s", out.String(), row.want[i])
				}
				if err := json.Unmarshal([]byte(out.String()), new(map[string]any)); err != nil {
					t.Errorf("logged %s, which is no JSON object: %v", out.String(), err)
				}
			}
		})
	}
}

func TestGivenAddressesToDifferentPeersWhenAServiceIsReportedThenItHasTheUnion(t *testing.T) {
	got := routed(verdicts(yes("a", "10.0.0.1", "x", "z"), yes("a", "10.0.0.2", "y"), no("b", "10.0.0.3", announce.ReasonNoEndpoints)))
	if diff := cmp.Diff(wishes{svc("a"): {names: []string{"x", "y", "z"}}}, got, cmp.AllowUnexported(wish{})); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
}

func exists(name, service string, owner types.UID, peers ...string) object {
	return object{name: name, service: svc(service), owner: owner,
		says: statement{"n1", svc(service), peers, nil}}
}

func TestGivenObjectsAndWhatIsWantedWhenComparedThenTheStepsLeadThere(t *testing.T) {
	me := []metav1.OwnerReference{{UID: "me"}}
	wrongNode := exists("bgp-1", "a", "me", "tor")
	wrongNode.says.node = "n2"
	a := wishes{svc("a"): {names: []string{"tor"}}}
	unsure := wishes{svc("a"): {leave: true}}
	sentTo := func(addresses string, since int64) wishes {
		return wishes{svc("a"): {names: []string{"tor"}, sent: []delivery{{peer: "tor", addresses: addresses, since: since}}}}
	}
	saying := func(addresses string, since int64) object {
		o := exists("bgp-1", "a", "me", "tor")
		o.says.sent = []delivery{{peer: "tor", addresses: addresses, since: since}}
		return o
	}
	b, after := svc("b"), sentTo("198.51.100.1", 50)
	after[b] = wish{names: []string{"tor"}}
	key := svc("a")
	rows := map[string]struct {
		want wishes
		have []object
		do   []step
	}{
		"all as wanted":        {a, []object{exists("bgp-1", "a", "me", "tor")}, nil},
		"missing":              {a, nil, []step{{create: &key, names: []string{"tor"}}}},
		"not wanted":           {nil, []object{exists("bgp-1", "a", "me", "tor")}, []step{{remove: "bgp-1"}}},
		"twice":                {a, []object{exists("bgp-1", "a", "me", "tor"), exists("bgp-2", "a", "me", "tor")}, []step{{remove: "bgp-2"}}},
		"other peers":          {a, []object{exists("bgp-1", "a", "me", "spine")}, []step{{report: new(exists("bgp-1", "a", "me", "spine")), names: []string{"tor"}}}},
		"another node's":       {a, []object{wrongNode}, []step{{report: &wrongNode, names: []string{"tor"}}}},
		"of an earlier pod":    {a, []object{exists("bgp-1", "a", "earlier", "tor")}, []step{{adopt: "bgp-1"}}},
		"not certain":          {unsure, []object{exists("bgp-1", "a", "me", "tor")}, nil},
		"not certain, missing": {unsure, nil, nil},
		"as sent as wanted":    {sentTo("198.51.100.1", 50), []object{saying("198.51.100.1", 50)}, nil},
		"sent by now":          {sentTo("198.51.100.1", 50), []object{saying("", 0)}, []step{{report: new(saying("", 0)), names: []string{"tor"}, sent: sentTo("198.51.100.1", 50)[svc("a")].sent}}},
		"sent over an earlier session": {sentTo("198.51.100.1", 60), []object{saying("198.51.100.1", 50)},
			[]step{{report: new(saying("198.51.100.1", 50)), names: []string{"tor"}, sent: sentTo("198.51.100.1", 60)[svc("a")].sent}}},
		"what was sent is not known":          {wishes{svc("a"): {names: []string{"tor"}, sent: []delivery{{peer: "tor", unknown: true}}}}, []object{saying("198.51.100.1", 50)}, nil},
		"what was sent comes after all other": {after, []object{saying("", 0)}, []step{{create: &b, names: []string{"tor"}}, {report: new(saying("", 0)), names: []string{"tor"}, sent: after[svc("a")].sent}}},
		"untrue things first":                 {a, []object{exists("bgp-9", "b", "me", "tor")}, []step{{remove: "bgp-9"}, {create: &key, names: []string{"tor"}}}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := steps(row.want, row.have, "n1", me)
			if diff := cmp.Diff(row.do, got, cmp.AllowUnexported(step{}, object{}, statement{}, delivery{})); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGivenAnOlderEventThanTheAnswerToAWriteWhenItArrivesThenItIsDisregarded(t *testing.T) {
	i := newInventory()
	state := func(version, peer string) object {
		return object{name: "bgp-1", resourceVersion: version, says: statement{names: []string{peer}}}
	}
	i.store(state("9", "old"))
	i.store(state("10", "new"))
	i.store(state("9", "old"))
	if got := i.all(); len(got) != 1 || got[0].says.names[0] != "new" {
		t.Errorf("inventory %+v, want the newer state", got)
	}
	i.remove("bgp-1")
	if got := i.all(); len(got) != 0 {
		t.Errorf("inventory %+v, want none", got)
	}
}

func TestGivenAnObjectThatWasDeletedWhenTheWatchIsBehindThenItDoesNotComeBack(t *testing.T) {
	for name, told := range map[string]func(*inventory){
		"by an event": func(i *inventory) { i.remove("bgp-1") },
		"by a list":   func(i *inventory) { i.retain(nil, "20") },
	} {
		t.Run(name, func(t *testing.T) {
			i := newInventory()
			i.store(object{name: "bgp-1", resourceVersion: "9"})
			i.deleted("bgp-1")
			i.store(object{name: "bgp-1", resourceVersion: "10"})
			if got := i.all(); len(got) != 0 {
				t.Errorf("inventory %+v, want none", got)
			}
			told(i)
			i.deleted("bgp-1") // as when the answer comes after the event
			if len(i.gone) != 0 {
				t.Errorf("it remembers %v for ever", i.gone)
			}
		})
	}
}

func TestGivenAListOfWhatExistsWhenItIsTakenInThenTheRestIsForgottenButForWhatWasWrittenSince(t *testing.T) {
	i := newInventory()
	for name, version := range map[string]string{"bgp-listed": "5", "bgp-gone": "6", "bgp-written-since": "11"} {
		i.store(object{name: name, resourceVersion: version})
	}
	i.retain(map[types.NamespacedName]bool{{Namespace: "ns", Name: "bgp-listed"}: true}, "10")
	if got := i.all(); len(got) != 2 || got[0].name != "bgp-listed" || got[1].name != "bgp-written-since" {
		t.Errorf("inventory %+v, want what was listed and what was written since", got)
	}
}

func TestGivenAReportWhenJudgedThenTheVerdictSaysWhatUsersHaveToDo(t *testing.T) {
	bad := intent.Problem{Object: intent.ObjectRef{Kind: "BGPPeer", Namespace: "ns", Name: "tor"}, Kind: intent.Invalid, Field: "spec.myASN", Found: "0", Wanted: "must be more"}
	hint := bad
	hint.Kind = intent.Warning
	rows := map[string]struct {
		report  node.Report
		result  v1beta1.ConfigurationResult
		reason  string
		summary []string
	}{
		"all well":       {node.Report{Outcome: node.Applied}, v1beta1.ConfigurationValid, v1beta1.ReasonReconciled, nil},
		"only warnings":  {node.Report{Outcome: node.Applied, Problems: []intent.Problem{hint}}, v1beta1.ConfigurationValid, v1beta1.ReasonReconciled, nil},
		"a bad object":   {node.Report{Outcome: node.Applied, Problems: []intent.Problem{bad}}, v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError, []string{bad.Error()}},
		"refused, too":   {node.Report{Outcome: node.Refused, Words: "% No", Problems: []intent.Problem{bad}}, v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError, []string{"FRR refuses", "% No", bad.Error()}},
		"no reloader":    {node.Report{Outcome: node.Unreachable, Words: "connect"}, v1beta1.ConfigurationUnknown, v1beta1.ReasonInfraError, []string{"cannot be given", "connect"}},
		"not known yet":  {node.Report{Outcome: node.Pending, Problems: []intent.Problem{bad}}, v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError, []string{bad.Error()}},
		"a daemon hangs": {node.Report{Outcome: node.Applied, Away: "bgpd does not answer"}, v1beta1.ConfigurationUnknown, v1beta1.ReasonInfraError, []string{"bgpd does not answer"}},
		"a bad one, too": {node.Report{Outcome: node.Pending, Away: "bgpd has ended", Problems: []intent.Problem{bad}}, v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError, []string{"bgpd has ended", bad.Error()}},
		"something else": {node.Report{Outcome: node.Failed, Words: "strange"}, v1beta1.ConfigurationUnknown, v1beta1.ReasonUnknownError, []string{"could not be applied", "strange"}},
		"left out": {node.Report{Outcome: node.Applied, LeftOut: []frr.LeftOut{{Section: "ConfigMap ns/bgpextras", Words: "% No", Line: "x", LineNumber: 3}}},
			v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError, []string{`ConfigMap ns/bgpextras: FRR refuses line 3 "x": % No; it is left out`}},
		"a long list": {node.Report{Outcome: node.Refused, Words: strings.Repeat("ä", 9000)}, v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError, []string{"ä …"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			v := judge(standing{report: row.report})
			if v.result != row.result || v.reason != row.reason || (row.summary == nil) != (v.summary == "") || len(v.summary) > maxSummary {
				t.Errorf("verdict %+v, want %s, %s", v, row.result, row.reason)
			}
			for _, text := range row.summary {
				if !strings.Contains(v.summary, text) {
					t.Errorf("summary %q lacks %q", v.summary, text)
				}
			}
		})
	}
}

func TestGivenReportsWhenScrapedThenTheMetricsSayWhatIsInForce(t *testing.T) {
	m := NewMetrics("n1", func() uint64 { return 7 })
	var known standing
	observe := func(r node.Report) {
		known = known.after(r)
		m.observe(r, known.node)
	}
	bad := []intent.Problem{{Object: intent.ObjectRef{Kind: "BGPPeer", Name: "x"}, Kind: intent.Invalid}}
	observe(node.Report{Outcome: node.Applied, InForce: true, Node: verdicts(yes("a", "10.0.0.1"), no("b", "10.0.0.2", announce.ReasonNoEndpoints)), Applies: []node.Application{{How: "delta"}}})
	observe(node.Report{Outcome: node.Unreachable, Node: verdicts(yes("a", "10.0.0.1"), yes("b", "10.0.0.2"), no("b", "", announce.ReasonNoAddress)), Problems: bad})
	observe(node.Report{Outcome: node.Pending, Node: verdicts(yes("b", "10.0.0.2"), on("c", "10.0.0.3", "n1"), on("c", "10.0.0.4", ""), on("c", "10.0.0.5", ""))})
	want := `
# HELP metallb_k8s_client_config_loaded_bool 1 once a configuration has been in force, 0 before.
# TYPE metallb_k8s_client_config_loaded_bool gauge
metallb_k8s_client_config_loaded_bool 1
# HELP metallb_k8s_client_config_stale_bool 1 while part of the configuration is not in force because it is not valid or could not be applied.
# TYPE metallb_k8s_client_config_stale_bool gauge
metallb_k8s_client_config_stale_bool 1
# HELP metallb_k8s_client_update_errors_total Passes after which FRR did not run what is wanted.
# TYPE metallb_k8s_client_update_errors_total counter
metallb_k8s_client_update_errors_total 1
# HELP metallb_k8s_client_updates_total Changes of Kubernetes objects that were taken in.
# TYPE metallb_k8s_client_updates_total counter
metallb_k8s_client_updates_total 7
# HELP metallb_speaker_announced Addresses that this node announces, 1 each. By BGP it is what FRR was told; whether routers took it is theirs to say.
# TYPE metallb_speaker_announced gauge
metallb_speaker_announced{ip="10.0.0.1",node="n1",protocol="bgp",service="default/a"} 1
metallb_speaker_announced{ip="10.0.0.3",node="n1",protocol="layer2",service="default/c"} 1
# HELP metallb_speaker_not_announced Addresses of Services that this node does not announce, by the reason for it.
# TYPE metallb_speaker_not_announced gauge
metallb_speaker_not_announced{protocol="bgp",reason="noEndpoints"} 1
metallb_speaker_not_announced{protocol="layer2",reason="interfaceMissing"} 2
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), "metallb_k8s_client_config_loaded_bool", "metallb_k8s_client_config_stale_bool",
		"metallb_k8s_client_update_errors_total", "metallb_k8s_client_updates_total", "metallb_speaker_announced", "metallb_speaker_not_announced"); err != nil {
		t.Error(err)
	}
	observe(node.Report{Outcome: node.Applied, InForce: true})
	if n := testutil.CollectAndCount(m, "metallb_speaker_announced"); n != 0 {
		t.Errorf("%d series of addresses are left, want none", n)
	}
}

func TestGivenWhatHappensToFRRWhenScrapedThenItIsCounted(t *testing.T) {
	m := NewMetrics("n1", func() uint64 { return 7 })
	for _, e := range []frr.Event{{Kind: frr.DriftRepaired}, {Kind: frr.DriftRemains}, {Kind: frr.DaemonDown, Daemon: "bgpd"}, {Kind: frr.DaemonUp, Daemon: "bgpd"}} {
		m.Event(e)
	}
	want := `
# HELP metallb_speaker_frr_daemon_ended_total Times that a daemon of FRR ended or stopped to answer.
# TYPE metallb_speaker_frr_daemon_ended_total counter
metallb_speaker_frr_daemon_ended_total{daemon="bgpd"} 1
# HELP metallb_speaker_frr_drift 1 while FRR runs something else than it was told that could not be put right, else 0.
# TYPE metallb_speaker_frr_drift gauge
metallb_speaker_frr_drift 1
# HELP metallb_speaker_frr_drift_total Times that FRR was found to run something else than it was told, by what came of it: repaired, remains.
# TYPE metallb_speaker_frr_drift_total counter
metallb_speaker_frr_drift_total{result="remains"} 1
metallb_speaker_frr_drift_total{result="repaired"} 1
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), "metallb_speaker_frr_drift", "metallb_speaker_frr_drift_total", "metallb_speaker_frr_daemon_ended_total"); err != nil {
		t.Error(err)
	}
	m.observe(node.Report{Outcome: node.Applied, Applies: []node.Application{{How: "failed"}, {How: "full"}}}, announce.Node{})
	if got := testutil.ToFloat64(m.drifted); got != 0 {
		t.Errorf("drift is %v after the whole file was loaded, want 0", got)
	}
	if got := testutil.CollectAndCount(m, "metallb_speaker_apply_duration_seconds"); got != 2 {
		t.Errorf("%d kinds of applies, want failed and full", got)
	}
}

func TestGivenReportsWhenPutTogetherThenLayer2IsInForceAtOnceAndBGPWhenFRRRunsIt(t *testing.T) {
	bgp, later := yes("a", "10.0.0.1", "tor"), yes("b", "10.0.0.2", "tor")
	one, two := on("a", "10.0.0.1", "n1"), on("b", "10.0.0.2", "n2")
	rows := map[string]struct {
		reports []node.Report
		node    announce.Node
		routed  bool
		outcome node.Outcome
		words   string
	}{
		"pending at first": {[]node.Report{{Outcome: node.Pending, Node: layer2Node(nil, bgp, one)}}, layer2Node(nil, one), false, 0, ""},
		"applied": {[]node.Report{{Outcome: node.Pending, Node: layer2Node(nil, bgp, one)}, {Outcome: node.Applied, InForce: true, Node: layer2Node(nil, bgp, one)}},
			layer2Node(nil, bgp, one), true, node.Applied, ""},
		"pending after that": {[]node.Report{{Outcome: node.Applied, InForce: true, Node: layer2Node(nil, bgp, one)}, {Outcome: node.Pending, Node: layer2Node(nil, bgp, later, two)}},
			layer2Node(nil, bgp, two), true, node.Applied, ""},
		"refused, then layer 2": {[]node.Report{{Outcome: node.Refused, InForce: true, Words: "% No", Node: layer2Node(nil, bgp)}, {Outcome: node.Pending, Node: layer2Node(nil, bgp, one, later, two)}},
			layer2Node(nil, bgp, one, two), true, node.Refused, "% No"},
		"layer 2 gone": {[]node.Report{{Outcome: node.Applied, InForce: true, Node: layer2Node(nil, bgp, one)}, {Outcome: node.Unreachable, Words: "away", Node: layer2Node(nil, later)}},
			layer2Node(nil, bgp), true, node.Unreachable, "away"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var s standing
			for _, r := range row.reports {
				s = s.after(r)
			}
			if diff := cmp.Diff(row.node, s.node, cmpopts.EquateEmpty(), equateAddresses); diff != "" {
				t.Errorf("in force (-want +got):\n%s", diff)
			}
			if s.routed != row.routed || s.report.Outcome != row.outcome || s.report.Words != row.words {
				t.Errorf("BGP in force %t, outcome %v %q; want %t, %v %q", s.routed, s.report.Outcome, s.report.Words, row.routed, row.outcome, row.words)
			}
		})
	}
}

func TestGivenAReasonNotToAnswerWhenItIsNewThenTheLogAtDebugHasIt(t *testing.T) {
	before := verdicts(on("a", "10.0.0.1", "n1"), on("b", "10.0.0.2", ""), on("c", "10.0.0.3", "n1"))
	after := verdicts(on("a", "10.0.0.1", ""), on("b", "10.0.0.2", ""), on("c", "10.0.0.3", "n2"), no("d", "10.0.0.4", announce.ReasonNoPeer))
	for level, want := range map[string]string{
		"info": "",
		"debug": `"msg":"not answering for an address","event":"skipping should announce l2","service":"default/a","ip":"10.0.0.1","pool":"pool","protocol":"layer2",` +
			`"reason":"interfaceMissing","detail":"node n1: interface eth1 is missing"}`,
	} {
		var out strings.Builder
		log, err := logging.New(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		logHeld(t.Context(), log, before, after)
		if got := out.String(); !strings.HasSuffix(got, want+strings.Repeat("\n", strings.Count(got, "\n"))) || strings.Count(got, "\n") != min(1, len(want)) {
			t.Errorf("at level %s it logged %q, want one line that ends in %q", level, got, want)
		}
	}
}

func TestGivenLayer2WhenScrapedThenTheMetricsSayWhatWasDoneForEachAddress(t *testing.T) {
	e := newEdge()
	e.counters = l2.Counters{
		Addresses: map[netip.Addr]l2.Counts{netip.MustParseAddr("10.0.0.1"): {Requests: 3, Responses: 2, Gratuitous: 10}, netip.MustParseAddr("2001:db8::1"): {Gratuitous: 5}},
		Dropped:   map[string]uint64{l2.DropOwn: 7, l2.DropUnsent: 0},
	}
	e.set(claimed(answeredAt("10.0.0.1", "eth0"), "eth0", true), answeredAt("10.0.0.2", "eth0"), claimed(answeredAt("2001:db8::1", "eth0"), "eth0", false))
	g := newGossip("n1", "n2")
	want := `
# HELP metallb_layer2_conflicts 1 while another host on the segment claims the address that this node answers for, 0 when that is over.
# TYPE metallb_layer2_conflicts gauge
metallb_layer2_conflicts{ip="10.0.0.1"} 1
metallb_layer2_conflicts{ip="2001:db8::1"} 0
# HELP metallb_layer2_dropped_total Frames of ARP and neighbor discovery that were not answered, or not sent, by reason.
# TYPE metallb_layer2_dropped_total counter
metallb_layer2_dropped_total{reason="own"} 7
metallb_layer2_dropped_total{reason="unsent"} 0
# HELP metallb_layer2_gratuitous_sent Frames sent to announce the address unasked, since this node gained it.
# TYPE metallb_layer2_gratuitous_sent counter
metallb_layer2_gratuitous_sent{ip="10.0.0.1"} 10
metallb_layer2_gratuitous_sent{ip="2001:db8::1"} 5
# HELP metallb_layer2_members Speakers that are alive as far as this one knows, itself among them.
# TYPE metallb_layer2_members gauge
metallb_layer2_members 2
# HELP metallb_layer2_quorate 1 while this speaker may claim addresses, 0 while it may be the one that is cut off from the others.
# TYPE metallb_layer2_quorate gauge
metallb_layer2_quorate 1
# HELP metallb_layer2_requests_received ARP requests and neighbor solicitations for the address, since this node gained it.
# TYPE metallb_layer2_requests_received counter
metallb_layer2_requests_received{ip="10.0.0.1"} 3
metallb_layer2_requests_received{ip="2001:db8::1"} 0
# HELP metallb_layer2_responses_sent ARP replies and neighbor advertisements sent in answer to requests for the address, since this node gained it.
# TYPE metallb_layer2_responses_sent counter
metallb_layer2_responses_sent{ip="10.0.0.1"} 2
metallb_layer2_responses_sent{ip="2001:db8::1"} 0
`
	m := NewLayer2Metrics(e, g)
	if err := testutil.CollectAndCompare(m, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err != nil {
		t.Errorf("the series are not consistent: %v", err)
	}
	if n := testutil.CollectAndCount(NewLayer2Metrics(nil, nil)); n != 0 {
		t.Errorf("%d series without layer 2 and gossip, want none", n)
	}
}

// shower answers with what real daemons printed.
type shower struct {
	t     *testing.T
	asked int
}

func (s *shower) Show(_ context.Context, _, command string) ([]byte, error) {
	s.asked++
	names := map[string]string{frrstate.CommandSessions: "sessions", frrstate.CommandBFD: "bfd", frrstate.CommandBFDCounters: "bfd-counters"}
	b, err := os.ReadFile(filepath.Join("..", "frrstate", "testdata", "bookworm-"+names[command]+".json"))
	if err != nil {
		s.t.Error(err)
	}
	return b, err
}

func TestGivenSessionsWhenScrapedThenEachHasOnePeerLabelWithItsConfiguredPort(t *testing.T) {
	neighbor := func(address string, port uint16) announce.Neighbor {
		return announce.Neighbor{Peer: intent.Peer{Address: netip.MustParseAddr(address), Port: port}}
	}
	inForce := announce.Node{BGP: announce.BGP{Routers: []announce.Router{
		{Neighbors: []announce.Neighbor{neighbor("192.0.2.2", 179), neighbor("192.0.2.9", 1179), {Peer: intent.Peer{Interface: "link0", Port: 179}}}},
		{VRF: "red", Neighbors: []announce.Neighbor{neighbor("2001:db8::2", 1790)}},
	}}}
	frr := &shower{t: t}
	s := NewSessions(frr, func() announce.Node { return inForce })
	want := `
# HELP metallb_bfd_session_up 1 while BFD sees the path to the peer work, else 0.
# TYPE metallb_bfd_session_up gauge
metallb_bfd_session_up{peer="192.0.2.2:179",vrf="default"} 1
# HELP metallb_bgp_announced_prefixes_total Prefixes that the peer was sent and that stand.
# TYPE metallb_bgp_announced_prefixes_total gauge
metallb_bgp_announced_prefixes_total{peer="192.0.2.2:179",vrf="default"} 3
metallb_bgp_announced_prefixes_total{peer="192.0.2.9:1179",vrf="default"} 0
metallb_bgp_announced_prefixes_total{peer="[2001:db8::2]:1790",vrf="red"} 0
metallb_bgp_announced_prefixes_total{peer="link0:179",vrf="default"} 0
# HELP metallb_bgp_session_up 1 while the BGP session is Established, else 0.
# TYPE metallb_bgp_session_up gauge
metallb_bgp_session_up{peer="192.0.2.2:179",vrf="default"} 1
metallb_bgp_session_up{peer="192.0.2.9:1179",vrf="default"} 0
metallb_bgp_session_up{peer="[2001:db8::2]:1790",vrf="red"} 0
metallb_bgp_session_up{peer="link0:179",vrf="default"} 0
`
	if err := testutil.CollectAndCompare(s, strings.NewReader(want), "metallb_bfd_session_up", "metallb_bgp_announced_prefixes_total", "metallb_bgp_session_up"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(s); n != 1+4*14+1+7 {
		t.Errorf("%d series, want one of FRR, 14 of each of 4 sessions, 8 of one BFD session", n)
	}
	if frr.asked != 3 {
		t.Errorf("FRR was asked %d times for two scrapes within a second, want 3 commands", frr.asked)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(s); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err != nil {
		t.Errorf("the series are not consistent: %v", err)
	}
}

func TestGivenANodeWithoutPeersWhenScrapedThenFRRIsNotAsked(t *testing.T) {
	frr := &shower{t: t}
	if n := testutil.CollectAndCount(NewSessions(frr, func() announce.Node { return announce.Node{} })); n != 0 || frr.asked != 0 {
		t.Errorf("%d series, FRR asked %d times, want neither", n, frr.asked)
	}
}

func TestGivenANameTooLongForALabelWhenItIsOneThenAHashStandsForIt(t *testing.T) {
	long := strings.Repeat("n", 64)
	if got := LabelValue(long); len(got) != 32 || got == LabelValue(long+"x") {
		t.Errorf("label %q, want a hash", got)
	}
	if got := LabelValue("node-1.example.com"); got != "node-1.example.com" {
		t.Errorf("label %q, want the name", got)
	}
}

func TestGivenABurstOfNewsWhenSettlingThenItWaitsForCalmButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		news := make(chan struct{}, 1)
		start := time.Now()
		settle(t.Context(), news, time.Second)
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("without further news it waited %s: wanted 1s", waited)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			for ctx.Err() == nil {
				select {
				case news <- struct{}{}:
				case <-ctx.Done():
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		start = time.Now()
		settle(t.Context(), news, time.Second)
		stop()
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("with news all the time it waited %s: wanted 10s", waited)
		}
		time.Sleep(time.Second)
	})
}

package publish

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

var epoch = time.Unix(1_000_000, 0)

// on is a verdict by layer 2; owner "" is nobody, and the node that looks is n1.
func on(service, address, owner string) *announce.Verdict {
	v := &announce.Verdict{Service: svc(service), Address: netip.MustParseAddr(address), Pool: "pool", Protocol: announce.ProtocolLayer2,
		Announce: owner == "n1", Owner: owner}
	switch owner {
	case "n1":
	case "":
		v.Reason = announce.Reason{Code: announce.ReasonInterfaceMissing, Detail: "node n1: interface eth1 is missing"}
	default:
		v.Reason = announce.Reason{Code: announce.ReasonNotOwner, Detail: "node " + owner + " announces it: hash"}
	}
	return v
}

// layer2Node is what is decided when those are the verdicts; addresses are to be answered for on the links, all when there are none.
func layer2Node(links []string, list ...*announce.Verdict) announce.Node {
	n := announce.Node{Verdicts: list}
	for _, v := range list {
		if v.Announce && v.Protocol == announce.ProtocolLayer2 && !slices.ContainsFunc(n.L2, func(e announce.L2Entry) bool { return e.Address == v.Address }) {
			n.L2 = append(n.L2, announce.L2Entry{Address: v.Address, Interfaces: links})
		}
	}
	return n
}

func answeredAt(address string, links ...string) l2.Observed {
	o := l2.Observed{Address: netip.MustParseAddr(address)}
	for _, l := range links {
		o.Links = append(o.Links, l2.Answering{Name: l})
	}
	return o
}

func unanswered(address string, problems ...string) l2.Observed {
	return l2.Observed{Address: netip.MustParseAddr(address), Problems: problems}
}

// claimed adds conflicts on a link, over or not.
func claimed(o l2.Observed, link string, ongoing bool) l2.Observed {
	o.Conflicts = append(slices.Clone(o.Conflicts), l2.Conflict{Address: o.Address, Link: link, Hardware: wire.MAC{2, 0, 0, 0, 0, 9}, Ongoing: ongoing})
	return o
}

// glance is one look of a vigil, some time after the first.
type glance struct {
	after   time.Duration
	decided announce.Node
	around  circumstances
	// notes are wanted as "service reason: message", with "!" before a warning's.
	notes []string
	due   time.Duration
	want  wishes
}

func TestGivenWhatIsDecidedAndDoneWhenAVigilLooksThenUsersAreToldOfWhatBeginsAndEnds(t *testing.T) {
	member := circumstances{quorate: true}
	spokesman := circumstances{quorate: true, spokesman: true}
	seen := func(c circumstances, o ...l2.Observed) circumstances { c.observed = o; return c }
	mine := layer2Node(nil, on("a", "192.0.2.1", "n1"))
	shared := layer2Node(nil, on("a", "192.0.2.1", "n1"), on("b", "192.0.2.1", "n1"))
	theirs := layer2Node(nil, on("a", "192.0.2.1", "n2"))
	nobodys := layer2Node(nil, on("a", "192.0.2.1", ""), on("a", "192.0.2.2", ""))
	broken := unanswered("192.0.2.1", "eth0 is down", "eth1: no such device")
	here, nothing, uncertain := wishes{svc("a"): {}}, wishes{}, wishes{svc("a"): {leave: true}}
	failed := `a !announceFailed: node "n1" is to answer for 192.0.2.1 and cannot: eth0 is down; eth1: no such device`
	rival := func(link string) string {
		return fmt.Sprintf(`a !addressConflict: 02:00:00:00:00:09 on link %s claims 192.0.2.1, which node "n1" answers for: `+
			"give that host another address, or the Service; until then clients may reach either", link)
	}
	peace := func(link string) string {
		return fmt.Sprintf(`a addressConflictEnded: nobody but node "n1" claims 192.0.2.1 on link %s any more`, link)
	}
	orphaned := "a !announceFailed: no node answers for 192.0.2.1: node n1: interface eth1 is missing"
	held := func(everywhere bool) *announce.Verdict {
		v := no("a", "192.0.2.1", announce.ReasonNoEndpoints)
		v.Everywhere = everywhere
		return v
	}
	fine := answeredAt("192.0.2.1", "eth0")
	rows := map[string][]glance{
		"answered": {
			{0, mine, seen(member, fine), nil, 0, here},
			{time.Hour, mine, seen(member, fine), nil, 0, here}},
		"of another node": {{0, theirs, member, nil, 0, nothing}},
		"lost":            {{0, mine, seen(member, fine), nil, 0, here}, {1, theirs, member, nil, 0, nothing}},
		"not at once": {
			{0, mine, seen(member, broken), nil, grace, uncertain},
			{grace - 1, mine, seen(member, broken), nil, 1, uncertain},
			{grace, mine, seen(member, fine), nil, 0, here}},
		"never": {
			{0, mine, seen(member, broken), nil, grace, uncertain},
			{grace, mine, seen(member, broken), []string{failed}, 0, nothing},
			{time.Hour, mine, seen(member, broken), nil, 0, nothing},
			{time.Hour, mine, seen(member, fine), nil, 0, here},
			{2 * time.Hour, mine, seen(member, broken), nil, grace, uncertain},
			{2*time.Hour + grace, mine, seen(member, broken), []string{failed}, 0, nothing}},
		"not handed over yet": {
			{0, mine, member, nil, 0, uncertain},
			{time.Hour, mine, member, nil, 0, uncertain},
			{time.Hour, mine, seen(member, broken), nil, grace, uncertain},
			{2 * time.Hour, mine, seen(member, fine), nil, 0, here}},
		"let go of at the end": {
			{0, mine, seen(member, fine), nil, 0, here},
			{time.Hour, mine, member, nil, 0, uncertain},
			{2 * time.Hour, mine, member, nil, 0, uncertain}},
		"not known what is done": {{0, mine, circumstances{quorate: true, blind: true}, nil, 0, here}},
		"conflicts": {
			{0, mine, seen(member, claimed(fine, "eth0", true)), []string{rival("eth0")}, 0, here},
			{1, mine, seen(member, claimed(claimed(fine, "eth0", true), "eth1", true)), []string{rival("eth1")}, 0, here},
			{2, mine, seen(member, claimed(claimed(fine, "eth0", false), "eth1", true)), []string{peace("eth0")}, 0, here},
			{3, mine, seen(member, claimed(claimed(fine, "eth0", true), "eth1", true)), []string{rival("eth0")}, 0, here},
			{4, theirs, member, []string{
				`a addressConflictEnded: node "n1" does not answer for 192.0.2.1 any more, which 02:00:00:00:00:09 on link eth0 claimed`,
				`a addressConflictEnded: node "n1" does not answer for 192.0.2.1 any more, which 02:00:00:00:00:09 on link eth1 claimed`}, 0, nothing}},
		"a conflict about a shared address": {
			{0, shared, seen(member, claimed(fine, "eth0", true)), []string{rival("eth0"), "b" + rival("eth0")[1:]}, 0, wishes{svc("a"): {}, svc("b"): {}}}},
		"nobody's, told by one": {
			{0, nobodys, spokesman, nil, patience, nothing},
			{patience, nobodys, spokesman, []string{orphaned}, 0, nothing},
			{time.Hour, nobodys, spokesman, nil, 0, nothing}},
		"nobody's by BGP": {
			{0, verdicts(held(true)), spokesman, nil, patience, nothing},
			{patience, verdicts(held(true)), spokesman, []string{"a !announceFailed: no node announces 192.0.2.1: because"}, 0, nothing},
			{time.Hour, verdicts(held(true)), spokesman, nil, 0, nothing}},
		"not of this node by BGP": {{0, verdicts(held(false)), spokesman, nil, 0, nothing}},
		"nobody's by BGP, as it is on layer 2": {
			{0, layer2Node(nil, held(true), on("a", "192.0.2.1", "n2")), spokesman, nil, 0, nothing},
			{time.Hour, layer2Node(nil, held(true), on("a", "192.0.2.1", "n1")), seen(spokesman, fine), nil, 0, here}},
		"of no address": {{0, verdicts(no("a", "", announce.ReasonNoAddress)), spokesman, nil, 0, nothing}},
		"nobody's, and another one tells": {
			{0, nobodys, member, nil, patience, nothing},
			{patience, nobodys, member, nil, 0, nothing},
			{time.Hour, nobodys, spokesman, nil, 0, nothing}},
		"nobody's without gossip, for the log": {
			{0, nobodys, circumstances{quorate: true, alone: true}, nil, patience, nothing},
			{patience, nobodys, circumstances{quorate: true, alone: true}, []string{"(log) " + orphaned}, 0, nothing}},
		"nobody's for a moment": {
			{0, nobodys, spokesman, nil, patience, nothing},
			{patience - 1, theirs, spokesman, nil, 0, nothing},
			{patience, nobodys, spokesman, nil, patience, nothing}},
		"nobody's as far as one knows who is cut off": {
			{0, nobodys, circumstances{spokesman: true}, nil, 0, nothing},
			{patience, nobodys, circumstances{spokesman: true}, nil, 0, nothing}},
	}
	for name, glances := range rows {
		t.Run(name, func(t *testing.T) {
			v := newVigil("n1")
			for i, g := range glances {
				g.around.now = epoch.Add(g.after)
				notes, due := v.look(g.decided, g.around)
				var got []string
				for _, n := range notes {
					text := fmt.Sprintf("%s: %s", n.reason, n.message)
					if n.warning {
						text = "!" + text
					}
					if text = n.service.Name + " " + text; n.logged {
						text = "(log) " + text
					}
					got = append(got, text)
				}
				if diff := gocmp.Diff(g.notes, got); diff != "" {
					t.Errorf("look %d: notes (-want +got):\n%s", i, diff)
				}
				if due != g.due {
					t.Errorf("look %d: to look again after %v, want %v", i, due, g.due)
				}
				if diff := gocmp.Diff(g.want, v.answered(g.decided), gocmp.AllowUnexported(wish{})); diff != "" {
					t.Errorf("look %d: wishes (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestGivenServicesWithSeveralAddressesWhenAnsweredThenTheStatusHasTheUnionOfTheirLinks(t *testing.T) {
	undecided := on("a", "192.0.2.1", "")
	undecided.Reason.Code = announce.ReasonNotQuorate
	two := []*announce.Verdict{on("a", "192.0.2.1", "n1"), on("a", "192.0.2.2", "n1")}
	mixed := layer2Node(nil, two...)
	mixed.L2[1].Interfaces = []string{"eth1"}
	rows := map[string]struct {
		decided  announce.Node
		observed []l2.Observed
		want     wishes
	}{
		"all links":                        {layer2Node(nil, two...), []l2.Observed{answeredAt("192.0.2.1", "eth0"), answeredAt("192.0.2.2", "eth0")}, wishes{svc("a"): {}}},
		"named links":                      {layer2Node([]string{"eth0", "eth1"}, two...), []l2.Observed{answeredAt("192.0.2.1", "eth1"), answeredAt("192.0.2.2", "eth0", "eth1")}, wishes{svc("a"): {names: []string{"eth0", "eth1"}}}},
		"named and all":                    {mixed, []l2.Observed{answeredAt("192.0.2.1", "eth0"), answeredAt("192.0.2.2", "eth1")}, wishes{svc("a"): {}}},
		"one not yet":                      {layer2Node(nil, two...), []l2.Observed{answeredAt("192.0.2.1", "eth0")}, wishes{svc("a"): {leave: true}}},
		"one of two here":                  {layer2Node(nil, two[0], on("a", "192.0.2.2", "n2")), []l2.Observed{answeredAt("192.0.2.1", "eth0")}, wishes{svc("a"): {}}},
		"not known who is":                 {layer2Node(nil, undecided), nil, wishes{svc("a"): {leave: true}}},
		"not known who is, but why nobody": {layer2Node(nil, undecided, on("b", "192.0.2.2", "")), nil, wishes{svc("a"): {leave: true}}},
		"nothing by layer 2":               {verdicts(yes("a", "192.0.2.1", "tor")), nil, wishes{}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			v := newVigil("n1")
			v.look(row.decided, circumstances{now: epoch, quorate: true, observed: row.observed})
			if diff := gocmp.Diff(row.want, v.answered(row.decided), gocmp.AllowUnexported(wish{})); diff != "" {
				t.Errorf("wishes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGivenASpeakerThatIsCutOffWhenItStopsAnsweringThenItsStatusGoes(t *testing.T) {
	v := newVigil("n1")
	mine := layer2Node(nil, on("a", "192.0.2.1", "n1"))
	v.look(mine, circumstances{now: epoch, quorate: true, observed: []l2.Observed{answeredAt("192.0.2.1", "eth0")}})
	if diff := gocmp.Diff(wishes{svc("a"): {}}, v.answered(mine), gocmp.AllowUnexported(wish{})); diff != "" {
		t.Fatalf("wishes while it answers (-want +got):\n%s", diff)
	}
	stopped := on("a", "192.0.2.1", "")
	stopped.Reason.Code = announce.ReasonNotQuorate
	cutOff := layer2Node(nil, stopped)
	v.look(cutOff, circumstances{now: epoch})
	if diff := gocmp.Diff(wishes{}, v.answered(cutOff), gocmp.AllowUnexported(wish{})); diff != "" {
		t.Errorf("wishes when it is cut off (-want +got):\n%s", diff)
	}
}

// BenchmarkLook is what a look costs on a node with many addresses.
func BenchmarkLook(b *testing.B) {
	var list []*announce.Verdict
	var observed []l2.Observed
	for i := range 3000 {
		address := fmt.Sprintf("10.0.%d.%d", i/250, i%250)
		owner := fmt.Sprintf("n%d", i%3+1)
		list = append(list, on(fmt.Sprintf("s-%05d", i), address, owner))
		if owner == "n1" {
			observed = append(observed, answeredAt(address, "eth0"))
		}
	}
	decided, v := layer2Node(nil, list...), newVigil("n1")
	b.ReportAllocs()
	for b.Loop() {
		if notes, _ := v.look(decided, circumstances{now: epoch, quorate: true, observed: observed}); len(notes) > 0 || len(v.answered(decided)) != 1000 {
			b.Fatalf("%d notes, %d wishes", len(notes), len(v.answered(decided)))
		}
	}
}

package frrdelta_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
)

func TestGivenTwoWaysOfWritingTheSameWhenComparedThenThereIsNothingToDo(t *testing.T) {
	const router = "router bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n"
	for name, pair := range map[string][2]string{
		"default port":        {router + " neighbor 192.0.2.1 port 179\n", router},
		"multihop":            {router + " neighbor 192.0.2.1 ebgp-multihop\n", router + " neighbor 192.0.2.1 ebgp-multihop 255\n"},
		"profile implies bfd": {router + " neighbor 192.0.2.1 bfd profile p\n", router + " neighbor 192.0.2.1 bfd\n neighbor 192.0.2.1 bfd profile p\n"},
		"community names":     {"route-map m permit 1\n set community 65535:65282 1:1 additive\n", "route-map m permit 1\n set community 1:1 no-advertise additive\n"},
		"list numbers":        {"bgp community-list standard l permit 1:1\n", "bgp community-list standard l seq 5 permit 1:1\n"},
		"bfd defaults":        {"bfd\n profile p\n  receive-interval 300\n  no echo-mode\n exit\nexit\n", "bfd\n profile p\n exit\nexit\n"},
		"log level":           {"log stdout debugging\n", "log stdout\n"},
		"active by default":   {router + " address-family ipv4 unicast\n  neighbor 192.0.2.1 activate\n", router},
		"prefix host bits":    {router + " address-family ipv6\n  network 2001:DB8:0::1/64\n", router + " address-family ipv6 unicast\n  network 2001:db8::/64\n"},
		"order":               {"hostname a\n" + router, router + "exit\nhostname a\n"},
		"default limit":       {router + " bgp listen limit 100\n", router},
		"missing exits":       {"route-map m permit 1\n on-match next\n" + router, "route-map m permit 1\n on-match next\nexit\n!\n" + router + "exit\n"},
		"heading and comment": {"Building configuration...\n\nCurrent configuration:\n!\nfrr version 8.4.4\n! said\nend\n", ""},
	} {
		for _, way := range [][2]string{pair, {pair[1], pair[0]}} {
			plan, full := frrdelta.Diff(daemonsRunning(way[0]), frrdelta.Parse(way[1]), frrdelta.Residue{})
			if full != nil || len(plan.Steps) > 0 {
				t.Errorf("%s: %v\n%v", name, full, plan)
			}
		}
	}
}

// scene is a configuration of two advertisements and one neighbor.
const scene = `bgp large-community-list standard ml-tags permit 4294967295:0:1
bgp large-community-list standard ml-tag-1 permit 4294967295:0:1
bgp large-community-list expanded ml-any permit ^4294967295:
route-map set-1 permit 10
 set large-community 4294967295:0:1 additive
route-map out permit 10
 match large-community ml-tag-1
 set community 64512:1 additive
 on-match next
route-map out permit 20
 match large-community ml-any
 set large-comm-list ml-tags delete
router bgp 64512
 no bgp default ipv4-unicast
 neighbor 192.0.2.1 remote-as 64513
 address-family ipv4 unicast
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.1 route-map out out
  network 10.0.0.1/32 route-map set-1
bfd
 profile p
`

func TestGivenOnePrefixMoreWhenComparedThenItIsOneLineAndNothingElse(t *testing.T) {
	wanted := strings.Replace(scene, "  network 10.0.0.1/32", "  network 10.0.0.2/32 route-map set-1\n  network 10.0.0.1/32", 1)
	plan, full := frrdelta.Diff(daemonsRunning(scene), frrdelta.Parse(wanted), frrdelta.Residue{})
	if full != nil {
		t.Fatal(full)
	}
	want := []frrdelta.Step{{Daemon: "bgpd", Lines: []string{"router bgp 64512", "address-family ipv4 unicast",
		"network 10.0.0.2/32 route-map set-1", "exit-address-family", "exit"}}}
	if diff := cmp.Diff(want, plan.Steps); diff != "" {
		t.Error(diff)
	}
}

func TestGivenChangedCommunityWhenComparedThenTheRouteMapIsWorkedOffAtOnceAndNoNeighborIsCleared(t *testing.T) {
	plan, full := frrdelta.Diff(daemonsRunning(scene), frrdelta.Parse(strings.Replace(scene, "64512:1 ", "64512:2 ", 1)), frrdelta.Residue{})
	if full != nil {
		t.Fatal(full)
	}
	want := []frrdelta.Step{
		{Daemon: "bgpd", Lines: []string{"route-map out permit 10", "set community 64512:2 additive", "exit"}},
		{Daemon: "bgpd", Lines: []string{"bgp route-map delay-timer 0", "no bgp route-map delay-timer"}, Late: true},
	}
	if diff := cmp.Diff(want, plan.Steps); diff != "" {
		t.Error(diff)
	}
}

func TestGivenDelayTimerWhenAPolicyChangesThenItHasItsWantedValueAfterwards(t *testing.T) {
	with := strings.Replace(scene, "route-map out permit", "bgp route-map delay-timer 1\nroute-map out permit", 1)
	plan, full := frrdelta.Diff(daemonsRunning(with), frrdelta.Parse(strings.Replace(with, "64512:1 ", "64512:2 ", 1)), frrdelta.Residue{})
	if full != nil {
		t.Fatal(full)
	}
	last := plan.Steps[len(plan.Steps)-1]
	if diff := cmp.Diff(frrdelta.Step{Daemon: "bgpd", Lines: []string{"bgp route-map delay-timer 0", "bgp route-map delay-timer 1"}, Late: true}, last); diff != "" {
		t.Error(diff)
	}
}

func TestGivenDelayTimerThatNeverEndsWhenAPolicyChangesThenItsNeighborIsRefreshedSoftly(t *testing.T) {
	with := strings.Replace(scene, "route-map out permit", "bgp route-map delay-timer 0\nroute-map out permit", 1)
	plan, full := frrdelta.Diff(daemonsRunning(with), frrdelta.Parse(strings.Replace(with, "64512:1 ", "64512:2 ", 1)), frrdelta.Residue{})
	if full != nil {
		t.Fatal(full)
	}
	if last := plan.Steps[len(plan.Steps)-1]; !last.Exec || !cmp.Equal(last.Lines, []string{"clear bgp ipv4 unicast 192.0.2.1 soft out"}) {
		t.Errorf("the last step is %v", last)
	}
}

func TestGivenChangedCommunityListWhenComparedThenItsNeighborIsRefreshedSoftly(t *testing.T) {
	const list = "bgp large-community-list standard tag permit 1:1:1\nroute-map out permit 5\n match large-community tag\nexit\n"
	plan, full := frrdelta.Diff(daemonsRunning(scene+list), frrdelta.Parse(scene+strings.Replace(list, "1:1:1", "1:1:2", 1)), frrdelta.Residue{})
	if full != nil {
		t.Fatal(full)
	}
	if last := plan.Steps[len(plan.Steps)-1]; !last.Exec || !cmp.Equal(last.Lines, []string{"clear bgp ipv4 unicast 192.0.2.1 soft out"}) {
		t.Errorf("the last step is %v", last)
	}
}

// position finds the first command of a plan, in order, that contains the text.
func position(t *testing.T, plan frrdelta.Plan, text string) int {
	t.Helper()
	n := 0
	for _, s := range plan.Steps {
		if s.Cosmetic {
			continue
		}
		for _, l := range s.Lines {
			if strings.Contains(l, text) {
				return n
			}
			n++
		}
	}
	t.Fatalf("no command contains %q:\n%v", text, plan)
	return 0
}

func TestGivenPolicyThatComesOrGoesWhenComparedThenItIsThereForAsLongAsSomethingUsesIt(t *testing.T) {
	empty := "hostname n\n"
	for name, c := range map[string]struct {
		running, wanted string
		order           []string
	}{
		"all comes": {empty, scene, []string{"profile p", "standard ml-tag-1", "route-map out permit 10", "route-map set-1 permit",
			"network 10.0.0.1/32", "neighbor 192.0.2.1 remote-as", "route-map out out", "192.0.2.1 activate"}},
		"all goes": {scene, empty, []string{"no router bgp 64512", "no route-map out", "no bgp large-community-list standard ml-tag-1", "no profile p"}},
		"a neighbor comes": {
			empty,
			strings.NewReplacer("neighbor 192.0.2.1 remote-as 64513\n", "neighbor 192.0.2.1 remote-as 64513\n neighbor 192.0.2.1 timers connect 10\n",
				"bfd\n", " address-family ipv6 unicast\n  neighbor 192.0.2.1 activate\nbfd\n").Replace(scene),
			[]string{"neighbor 192.0.2.1 remote-as", "route-map out out", "192.0.2.1 timers connect 10", "192.0.2.1 activate"},
		},
		"an advertisement comes first": {
			scene,
			strings.NewReplacer(
				"bgp large-community-list expanded", "bgp large-community-list standard ml-tags permit 4294967295:0:2\nbgp large-community-list standard ml-tag-2 permit 4294967295:0:2\nbgp large-community-list expanded",
				"route-map out permit 10\n", "route-map out permit 10\n match large-community ml-tag-2\n set community 64512:2 additive\n on-match next\nroute-map out permit 20\n",
				"route-map out permit 20\n", "route-map out permit 30\n",
				"network 10.0.0.1/32 route-map set-1", "network 10.0.0.1/32 route-map set-2",
				"route-map set-1 permit 10\n set large-community 4294967295:0:1", "route-map set-2 permit 10\n set large-community 4294967295:0:2",
			).Replace(scene),
			// Each entry is at its new place before its old place is overwritten.
			[]string{"standard ml-tags seq 10 permit", "route-map out permit 30", "route-map out permit 20", "route-map out permit 10", "network 10.0.0.1/32 route-map set-2", "no route-map set-1"},
		},
		"an advertisement goes": {
			strings.Replace(scene, "bgp large-community-list expanded", "bgp large-community-list standard ml-tags permit 4294967295:0:2\nbgp large-community-list expanded", 1),
			strings.Replace(scene, "  network 10.0.0.1/32 route-map set-1\n", "", 1),
			// What takes tags off goes after what may carry them.
			[]string{"no network 10.0.0.1/32", "no bgp large-community-list standard ml-tags seq 10"},
		},
	} {
		plan, full := frrdelta.Diff(daemonsRunning(c.running), frrdelta.Parse(c.wanted), frrdelta.Residue{})
		if full != nil {
			t.Errorf("%s: %v", name, full)
			continue
		}
		var at []int
		for _, text := range c.order {
			at = append(at, position(t, plan, text))
		}
		if !slices.IsSorted(at) {
			t.Errorf("%s: %q are at %v of\n%v", name, c.order, at, plan)
		}
	}
}

func TestGivenANeighborOfBothFamiliesWhenItBecomesActiveThenInBothAtOnceAndInAStepThatIsCarriedOutWhole(t *testing.T) {
	const router = "router bgp 64512\n no bgp default ipv4-unicast\n neighbor 192.0.2.1 remote-as 64513\n neighbor eth1 interface remote-as external\n"
	const active = " address-family ipv4 unicast\n  neighbor 192.0.2.1 activate\n  neighbor eth1 activate\n  neighbor eth1 route-map out out\n exit-address-family\n" +
		" address-family ipv6 unicast\n  neighbor eth1 activate\n exit-address-family\n"
	for name, running := range map[string]string{"the router is new": "!\n", "the router is there": "router bgp 64512\n no bgp default ipv4-unicast\n", "the neighbor is there": router} {
		plan, full := frrdelta.Diff(daemonsRunning(running), frrdelta.Parse(router+active), frrdelta.Residue{})
		if full != nil {
			t.Fatalf("%s: %v", name, full)
		}
		want := []frrdelta.Step{
			{Daemon: "bgpd", Lines: []string{"router bgp 64512", "address-family ipv4 unicast", "neighbor 192.0.2.1 activate", "exit-address-family", "exit"}},
			{Daemon: "bgpd", Lines: []string{"router bgp 64512", "address-family ipv4 unicast", "neighbor eth1 activate", "exit-address-family",
				"address-family ipv6 unicast", "neighbor eth1 activate", "exit-address-family", "exit"}},
		}
		if diff := cmp.Diff(want, plan.Steps[max(0, len(plan.Steps)-2):]); diff != "" {
			t.Errorf("%s: the last steps (-want +got):\n%s", name, diff)
		}
	}
}

func TestGivenANewNeighborWhenItsSessionIsBegunThenItBecomesActiveInTheSameStep(t *testing.T) {
	wanted := "router bgp 64512\n no bgp default ipv4-unicast\n neighbor 192.0.2.1 remote-as 64513\n neighbor 192.0.2.1 timers connect 10\n" +
		" address-family ipv4 unicast\n  neighbor 192.0.2.1 activate\n exit-address-family\n"
	plan, full := frrdelta.Diff(daemonsRunning("!\n"), frrdelta.Parse(wanted), frrdelta.Residue{})
	if full != nil {
		t.Fatal(full)
	}
	want := []string{"router bgp 64512", "neighbor 192.0.2.1 timers connect 10", "address-family ipv4 unicast", "neighbor 192.0.2.1 activate", "exit-address-family", "exit"}
	if diff := cmp.Diff(want, plan.Steps[len(plan.Steps)-1].Lines); diff != "" {
		t.Errorf("the last step (-want +got):\n%s", diff)
	}
}

func TestGivenLinesThatAreNotKnownWhenComparedThenTheCauseNamesTheLineUntilTheFileWasLoaded(t *testing.T) {
	strange := scene + "router ospf\n network 10.0.0.0/8 area 0\nexit\n"
	_, full := frrdelta.Diff(daemonsRunning(scene), frrdelta.Parse(strange), frrdelta.Residue{})
	if full == nil || full.Cause != frrdelta.UnknownLine || full.Text != "router ospf" {
		t.Errorf("wanted: %+v", full)
	}
	_, full = frrdelta.Diff(daemonsRunning(strange), frrdelta.Parse(scene), frrdelta.Residue{})
	if full == nil || full.Cause != frrdelta.StrayLine || full.Text != "router ospf" {
		t.Errorf("running: %+v", full)
	}
	other := scene + "router ospf\n network 10.0.0.0/8 area 0.0.0.0\nexit\n" // FRR's way of writing it
	loaded := frrdelta.ResidueOf(daemonsRunning(other), frrdelta.Parse(strange))
	if plan, full := frrdelta.Diff(daemonsRunning(other), frrdelta.Parse(strange), loaded); full != nil || len(plan.Steps) > 0 {
		t.Errorf("after a load: %v\n%v", full, plan)
	}
	if _, full = frrdelta.Diff(daemonsRunning(other), frrdelta.Parse(scene), loaded); full == nil || full.Cause != frrdelta.StrayLine {
		t.Errorf("the line is not wanted any more: %+v", full)
	}
}

func TestGivenLinesThatAreNotKnownWhenTheFileIsPatchedThenOnlyTheyDiffer(t *testing.T) {
	running := "frr version 8.4.4\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n neighbor 192.0.2.1 solo\n !\nexit\n!\nrouter ospf\n network 10.0.0.0/8 area 0\nexit\n!\nend\n"
	wanted := "router bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n address-family ipv4 unicast\n  maximum-paths 4\n exit-address-family\nexit\nbgp as-path access-list a seq 5 permit _1_\n"
	want := "frr version 8.4.4\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n !\nexit\n!\n!\n" +
		"router bgp 64512\naddress-family ipv4 unicast\nmaximum-paths 4\nexit-address-family\nexit\nbgp as-path access-list a seq 5 permit _1_\n"
	if diff := cmp.Diff(want, frrdelta.Patch(running, frrdelta.Parse(wanted))); diff != "" {
		t.Error(diff)
	}
}

func TestGivenDaemonThatIsAwayWhenComparedThenItIsNamed(t *testing.T) {
	running := daemonsRunning(scene)
	delete(running, "bfdd")
	if _, full := frrdelta.Diff(running, frrdelta.Parse(scene), frrdelta.Residue{}); full == nil || full.Cause != frrdelta.MissingDaemon || full.Text != "bfdd" {
		t.Errorf("got %+v", full)
	}
}

func TestGivenPasswordWhenAPlanIsPrintedThenItIsNotInIt(t *testing.T) {
	wanted := strings.Replace(scene, "remote-as 64513\n", "remote-as 64513\n neighbor 192.0.2.1 password s3cret\n", 1)
	plan, full := frrdelta.Diff(daemonsRunning(scene), frrdelta.Parse(wanted), frrdelta.Residue{})
	if full != nil || strings.Contains(plan.String(), "s3cret") || !strings.Contains(plan.String(), "password ***") {
		t.Errorf("%v\n%v", full, plan)
	}
}

// FuzzParse: no text makes Parse or Diff fail, and every text equals itself.
func FuzzParse(f *testing.F) {
	f.Add(scene)
	f.Add(announcing(3))
	files, err := filepath.Glob("../frrconf/testdata/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		conf, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(conf))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := frrdelta.Parse(text)
		plan, full := frrdelta.Diff(daemonsRunning(text), c, frrdelta.Residue{})
		if full != nil || len(plan.Steps) > 0 {
			t.Errorf("%v\n%v", full, plan)
		}
		frrdelta.Patch(text, c)
	})
}

// listening is a group with a range beside a neighbor.
const listening = `router bgp 64512
 no bgp default ipv4-unicast
 neighbor g peer-group
 neighbor g remote-as 64513
 neighbor g password one
 neighbor 192.0.2.1 remote-as 64513
 address-family ipv4 unicast
  neighbor g activate
  neighbor g route-map out out
 exit-address-family
 bgp listen range 198.51.100.0/24 peer-group g
 bgp listen range 2001:db8::/64 peer-group g
exit
`

func TestGivenARangeWhenItChangesThenItClosesFirstAndOpensLast(t *testing.T) {
	for name, c := range map[string]struct {
		old, now string
		want     []string
	}{
		"nothing": {"", "", nil},
		"a router more": {" neighbor 192.0.2.1 remote-as 64513\n", " neighbor 192.0.2.1 remote-as 64513\n neighbor 192.0.2.2 remote-as 64513\n",
			[]string{"neighbor 192.0.2.2 remote-as 64513"}},
		"another password": {"password one", "password two", []string{"neighbor g password two"}},
		"another range": {"198.51.100.0/24", "198.51.100.0/25",
			[]string{"no bgp listen range 198.51.100.0/24 peer-group g", "bgp listen range 198.51.100.0/25 peer-group g"}},
		"a group made anew": {"g remote-as 64513", "g remote-as external", []string{
			"no bgp listen range 198.51.100.0/24 peer-group g", "no bgp listen range 2001:db8::/64 peer-group g", "no neighbor g peer-group",
			"neighbor g peer-group", "neighbor g remote-as external", "neighbor g password one", "neighbor g route-map out out", "neighbor g activate",
			"bgp listen range 198.51.100.0/24 peer-group g", "bgp listen range 2001:db8::/64 peer-group g",
		}},
		"a limit": {" bgp listen range 1", " bgp listen limit 7\n bgp listen range 1", []string{"bgp listen limit 7"}},
	} {
		plan, full := frrdelta.Diff(daemonsRunning(listening), frrdelta.Parse(strings.Replace(listening, c.old, c.now, 1)), frrdelta.Residue{})
		if full != nil {
			t.Fatalf("%s: %v", name, full)
		}
		var lines []string
		for _, s := range plan.Steps {
			for _, line := range s.Lines {
				if !strings.HasPrefix(line, "router bgp") && !strings.HasPrefix(line, "address-family") && !strings.HasPrefix(line, "exit") {
					lines = append(lines, line)
				}
			}
		}
		if diff := cmp.Diff(c.want, lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestGivenAGroupWhoseCommunityListChangesThenItsRoutersAreSentEverythingAnewByTheGroup(t *testing.T) {
	text := "bgp community-list standard c seq 5 permit 1:1\nroute-map out permit 1\n match community c\nexit\n" + listening
	plan, full := frrdelta.Diff(daemonsRunning(text), frrdelta.Parse(strings.Replace(text, "permit 1:1", "permit 1:2", 1)), frrdelta.Residue{})
	if full != nil || !strings.Contains(plan.String(), "clear bgp ipv4 unicast peer-group g soft out") {
		t.Errorf("%v, want the group refreshed in\n%s", full, plan)
	}
}

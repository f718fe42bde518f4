package frrdelta_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
)

// listCommands are the commands for bgpd that lead from one configuration to another.
func listCommands(t *testing.T, from, to string) []string {
	t.Helper()
	plan, full := frrdelta.Diff(daemonsRunning(from), frrdelta.Parse(to), frrdelta.Residue{})
	if full != nil {
		t.Fatalf("%q to %q: %v", from, to, full)
	}
	var commands []string
	for _, s := range plan.Steps {
		if s.Daemon == "bgpd" && !s.Cosmetic {
			commands = append(commands, s.Lines...)
		}
	}
	return commands
}

func TestGivenPrefixListsThatSayTheSameWhenComparedThenNothingIsToDo(t *testing.T) {
	for _, pair := range [][2]string{
		{"ip prefix-list a seq 5 permit any", "ip prefix-list a seq 5 permit 0.0.0.0/0 le 32"},
		{"ipv6 prefix-list a seq 5 permit any", "ipv6 prefix-list a seq 5 permit ::/0 ge 0"},
		{"ip prefix-list a seq 5 permit 10.0.0.0/8", "ip prefix-list a seq 5 permit 10.1.2.3/8 le 8"},
		{"ip prefix-list a seq 5 permit 10.0.0.0/8 ge 16", "ip prefix-list a permit 10.0.0.0/8 ge 16 le 32"},
		{"ip prefix-list a seq 5 deny 10.0.0.0/8 ge 16 le 24", "ip prefix-list a seq 5 deny 10.0.0.0/8 le 24 ge 16"},
		{"ip prefix-list a seq 7 permit 10.0.0.0/8\nip prefix-list a seq 10 permit any", "ip prefix-list a seq 7 permit 10.0.0.0/8\nip prefix-list a permit any"},
	} {
		for _, way := range [][2]string{pair, {pair[1], pair[0]}} {
			if got := listCommands(t, way[0], way[1]); len(got) > 0 {
				t.Errorf("%q to %q: %q", way[0], way[1], got)
			}
		}
	}
}

func TestGivenAPrefixListWhenItChangesThenWhatMovesGoesFirstAndWhatGoesStaysUntilTheNewIsThere(t *testing.T) {
	from := "ip prefix-list a seq 1 permit 10.1.0.0/16\nip prefix-list a seq 2 permit 10.2.0.0/16\nip prefix-list a seq 3 permit 10.3.0.0/16\n"
	to := "ip prefix-list a seq 9 permit 10.1.0.0/16\nip prefix-list a seq 2 permit 10.2.0.0/16 le 24\nip prefix-list a seq 4 permit 10.4.0.0/16\n"
	want := []string{
		"no ip prefix-list a seq 1",
		"ip prefix-list a seq 2 permit 10.2.0.0/16 le 24", "ip prefix-list a seq 4 permit 10.4.0.0/16", "ip prefix-list a seq 9 permit 10.1.0.0/16",
		"no ip prefix-list a seq 3",
	}
	if got := listCommands(t, from, to); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestGivenAPrefixListOfAPolicyWhenItChangesThenTheRoutesThatCameInAreJudgedAnew(t *testing.T) {
	conf := func(prefix string) string {
		return "ip prefix-list l seq 5 permit " + prefix + "\nroute-map m permit 4\n match ip address prefix-list l\nexit\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n" +
			" address-family ipv4 unicast\n  neighbor 192.0.2.1 activate\n  neighbor 192.0.2.1 route-map m in\n exit-address-family\nexit\n"
	}
	got := strings.Join(listCommands(t, conf("10.0.0.0/8"), conf("10.0.0.0/9")), "\n")
	if want := "ip prefix-list l seq 5 permit 10.0.0.0/9\nclear bgp ipv4 unicast 192.0.2.1 soft in"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	bare := strings.Replace(conf("10.0.0.0/8"), "ip prefix-list l seq 5 permit 10.0.0.0/8\n", "", 1)
	bare = strings.Replace(bare, " match ip address prefix-list l\n", "", 1)
	got = strings.Join(listCommands(t, conf("10.0.0.0/8"), bare), "\n")
	if at, list := strings.Index(got, "no match ip address prefix-list"), strings.Index(got, "no ip prefix-list l"); at < 0 || list < at {
		t.Errorf("the list goes before what uses it:\n%s", got)
	}
}

func TestGivenALineThatOnlyLooksLikeAPrefixListWhenReadThenItIsUnknown(t *testing.T) {
	for _, line := range []string{
		"ip prefix-list a seq 5 permit 2001:db8::/32", "ipv6 prefix-list a seq 5 permit 10.0.0.0/8", "ip prefix-list a seq 0 permit any", "ip prefix-list a seq x permit any",
		"ip prefix-list a seq 5 permit any le 3", "ip prefix-list a seq 5 permit 10.0.0.0/8 ge 7", "ip prefix-list a seq 5 permit 10.0.0.0/8 le 33", "ip prefix-list a seq 5 allow any",
		"ip prefix-list a seq 5 permit 10.0.0.0/8 ge", "ip prefix-list a description of it", "ip prefix-list a seq 5 permit 10.0.0.0/8 eq 9",
	} {
		if unknown := frrdelta.Parse(line + "\n").Unknown(); len(unknown) != 1 {
			t.Errorf("%q: unknown lines %v, want it alone", line, unknown)
		}
	}
}

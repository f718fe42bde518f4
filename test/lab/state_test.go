package lab

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"net/netip"
)

func TestGivenAStateWhenWrittenAndReadThenItIsTheSame(t *testing.T) {
	dir := t.TempDir()
	if s, err := readState(dir); s != nil || err != nil {
		t.Fatalf("state of an empty folder: %v, error %v", s, err)
	}
	want := &state{Prefix: "p", Phase: phaseUp, Nodes: 1, Starter: process{PID: 1, Start: 2}, Machines: map[string]machine{}}
	want.add(machine{Name: "n1", Kind: kindNode, Index: 1, Segment: NodeAddresses(1)})
	want.add(machine{Name: "client", Kind: kindClient, Outside: ClientAddresses()})
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(state{}, machine{}, process{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if got.Machines["n1"].Netns != "p-n1" {
		t.Errorf("namespace of n1 is %s, want it to carry the prefix: p-n1", got.Machines["n1"].Netns)
	}
}

func TestGivenMachinesWhenListedThenTheyAreInOrderOfKindAndNumber(t *testing.T) {
	s := &state{Prefix: "p", Machines: map[string]machine{}}
	for _, m := range []machine{{Name: "spy", Kind: kindGoBGP}, {Name: "n10", Kind: kindNode, Index: 10}, {Name: "client", Kind: kindClient},
		{Name: "n2", Kind: kindNode, Index: 2}, {Name: "cp", Kind: kindControlPlane}, {Name: "router", Kind: kindRouter}, {Name: "r2", Kind: kindRouter}} {
		s.add(m)
	}
	var got []string
	for _, m := range s.sorted() {
		got = append(got, m.Name)
	}
	if diff := cmp.Diff([]string{"cp", "n2", "n10", "r2", "router", "client", "spy"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestGivenAProcessWhenItEndsThenItIsNotAliveEvenBeforeItIsReaped(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Error("a running process is not alive")
	}
	if other := (process{PID: p.PID, Start: p.Start + 1}); other.alive() {
		t.Error("a process that started at another time is taken for the one with this id now")
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	for p.alive() { // ends with the test's own time limit if it never dies
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	if err := p.kill(); err != nil {
		t.Errorf("kill a process that is gone: %v", err)
	}
	if (process{}).alive() {
		t.Error("the process of a machine that is off is alive")
	}
}

func TestGivenAProgramNameWithParenthesesWhenItsStatIsReadThenTheFieldsAreRight(t *testing.T) {
	got, err := parseStat([]byte("42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2"))
	if err != nil || got != (stat{state: 'S', parent: 7, start: 987654}) {
		t.Errorf("read %+v, error %v", got, err)
	}
	if _, err := parseStat([]byte("42 (x) S")); err == nil {
		t.Error("a short line was accepted")
	}
	own, err := readStat(os.Getpid())
	if err != nil || own.parent != os.Getppid() {
		t.Errorf("own parent is %d (error %v), want %d", own.parent, err, os.Getppid())
	}
}

package uml_test

import (
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/test/uml"
)

func TestMain(m *testing.M) { os.Exit(uml.Main(m)) }

func TestGivenAKernelOfItsOwnWhenATestRunsInItThenItHasTheModulesAndIsAlone(t *testing.T) {
	if uml.Boot(t, "8021q", "bonding", "bridge", "dummy", "veth", "vrf") {
		return
	}
	for _, l := range []netlink.Link{
		netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond"}),
		&netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "red"}, Table: 10},
		&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "dummy"}},
	} {
		if err := netlink.LinkAdd(l); err != nil {
			t.Errorf("add %s: %v", l.Attrs().Name, err)
		}
	}
	if pid := os.Getpid(); pid != 1 {
		t.Errorf("the test is process %d, want 1: it runs on the machine", pid)
	}
	if err := os.WriteFile("made-inside", nil, 0o600); err == nil {
		t.Error("the machine's files can be changed from inside")
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	t.Logf("Linux %s", name.Release)
}

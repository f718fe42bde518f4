package lab

import (
	"net/netip"
	"strings"
	"testing"
)

func TestGivenEveryMachineOfTheLargestLabWhenAddressedThenNoTwoShareAnAddress(t *testing.T) {
	seen := map[netip.Addr]string{}
	use := func(name string, a Addresses) {
		for _, ip := range []netip.Addr{a.IPv4, a.IPv6} {
			if other, taken := seen[ip]; taken {
				t.Errorf("%s and %s both have %s", name, other, ip)
			}
			seen[ip] = name
		}
	}
	use("cp", segmentAddresses(controlPlaneHost))
	use("router", RouterAddresses())
	use("client", ClientAddresses())
	use("router outside", outsideAddresses(1))
	for i := 1; i <= MaxNodes; i++ {
		use(NodeName(i), NodeAddresses(i))
	}
	for host := range 255 {
		if checkHost(host) == nil {
			use("further machine", SegmentAddresses(host))
		}
	}
}

func TestGivenANodeWhenItsPodRangesAreAskedForThenTheyLieInTheClusters(t *testing.T) {
	for i := 1; i <= MaxNodes; i++ {
		p := podPrefixes(i)
		if !netip.MustParsePrefix(PodRange4).Contains(p[0].Addr()) || !netip.MustParsePrefix(PodRange6).Contains(p[1].Addr()) {
			t.Errorf("pods of node %d are in %v, outside %s and %s", i, p, PodRange4, PodRange6)
		}
	}
	if got := NodeAddresses(1); got.IPv4.String() != "192.168.126.11" || got.IPv6.String() != "fd00:126::11" {
		t.Errorf("node 1 has %v, want 192.168.126.11 and fd00:126::11", got)
	}
}

func TestGivenANameThatWouldNotFitAnInterfaceWhenCheckedThenItIsRefused(t *testing.T) {
	for name, want := range map[string]bool{"lab": true, "a": true, "e2e1": true, "": false, "Lab": false, "1a": false, "a-b": false, "toolongname": false} {
		if got := checkName("prefix", name) == nil; got != want {
			t.Errorf("name %q accepted: %v, want %v", name, got, want)
		}
	}
}

func TestGivenOptionsOutOfRangeWhenValidatedThenTheErrorNamesWhatWasFound(t *testing.T) {
	for want, o := range map[string]Options{
		`"UPPER"`: {Prefix: "UPPER"}, "90": {Nodes: 90}, "-1": {Nodes: -1}, `"ipvs"`: {ProxyMode: "ipvs"},
	} {
		if err := o.withDefaults().validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
	if err := (Options{}).withDefaults().validate(); err != nil {
		t.Errorf("no options at all: %v", err)
	}
}

package main

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

func TestGivenFlagsAfterKubectlWhenParsedThenTheyAreKubectlsAndThoseBeforeTheLabs(t *testing.T) {
	c := root(time.Now())
	sub, rest, err := c.Traverse([]string{"--prefix", "two", "kubectl", "-n", "x", "get", "pods", "--prefix", "three"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"-n", "x", "get", "pods", "--prefix", "three"}; sub.Name() != "kubectl" || !slices.Equal(rest, want) {
		t.Errorf("command %s gets %q, want kubectl with %q", sub.Name(), rest, want)
	}
	if prefix, err := c.PersistentFlags().GetString("prefix"); err != nil || prefix != "two" {
		t.Errorf("prefix %q, error %v; want two", prefix, err)
	}
}

func TestGivenRoutesWhenPrintedThenTheirOriginAndNextHopsAreNamed(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for want, r := range map[string]netns.Route{
		"198.51.100.10/32 via 192.0.2.1, 192.0.2.2 (bgp)": {Prefix: netip.MustParsePrefix("198.51.100.10/32"), NextHops: []netip.Addr{a, b}, Protocol: netns.BGP},
		"192.0.2.0/24 via link (kernel)":                  {Prefix: netip.MustParsePrefix("192.0.2.0/24"), Protocol: 2},
		"2001:db8::/32 via link (99)":                     {Prefix: netip.MustParsePrefix("2001:db8::/32"), Protocol: 99},
	} {
		if got := line(r); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}
}

func TestGivenTheCommandLineWhenSetUpThenEveryCommandHasAShortDescription(t *testing.T) {
	for _, c := range root(time.Now()).Commands() {
		if c.Short == "" && !c.Hidden {
			t.Errorf("command %s says nothing about itself", c.Name())
		}
	}
}

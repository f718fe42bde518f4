package frrstate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// CommandAdvertisedTo returns the command, for bgpd, whose output ParseAdvertisedTo reads: to whom one prefix is advertised.
func CommandAdvertisedTo(vrf string, prefix netip.Prefix) string {
	return fmt.Sprintf("show bgp %s%s unicast %s json", inVRF(vrf), family(prefix.Addr().Is6()), prefix)
}

// ParseAdvertisedTo reads the output of a CommandAdvertisedTo into the neighbors, as FRR's configuration names them, that were sent the prefix, or
// that it is being sent to at this moment; sorted. A prefix that bgpd does not have was sent to nobody.
func ParseAdvertisedTo(output []byte) ([]string, error) {
	if none(output) {
		return nil, nil
	}
	var shown struct {
		AdvertisedTo map[string]struct{} `json:"advertisedTo"`
	}
	if err := json.Unmarshal(output, &shown); err != nil {
		return nil, fmt.Errorf("parse to whom a prefix is advertised: %w", err)
	}
	return slices.Sorted(maps.Keys(shown.AdvertisedTo)), nil
}

// CommandAdvertised returns the command, for bgpd, whose output ParseAdvertised reads: what one neighbor was sent of one address family.
func CommandAdvertised(key Key, ipv6 bool) string {
	return fmt.Sprintf("show bgp %s%s unicast neighbors %s advertised-routes json", inVRF(key.VRF), family(ipv6), key.Peer)
}

// ParseAdvertised reads the output of a CommandAdvertised into the prefixes that the neighbor was sent, sorted. A neighbor that bgpd does not know,
// or without that family, was sent nothing.
func ParseAdvertised(output []byte) ([]netip.Prefix, error) {
	// FRR 10.3 wraps that warning in what is no JSON any more.
	if none(output) || bytes.Contains(output, []byte(`"warning"`)) && bytes.Contains(output, []byte(`"No such neighbor`)) {
		return nil, nil
	}
	var shown struct {
		Routes map[netip.Prefix]struct{} `json:"advertisedRoutes"`
	}
	if err := json.Unmarshal(output, &shown); err != nil {
		return nil, fmt.Errorf("parse what a neighbor was sent: %w", err)
	}
	return slices.SortedFunc(maps.Keys(shown.Routes), netip.Prefix.Compare), nil
}

func inVRF(vrf string) string {
	if vrf == "" {
		return ""
	}
	return "vrf " + vrf + " "
}

func family(ipv6 bool) string {
	if ipv6 {
		return "ipv6"
	}
	return "ipv4"
}

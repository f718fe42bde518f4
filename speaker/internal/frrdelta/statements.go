package frrdelta

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// simple is a statement whose negation is "no" before its key.
func simple(key string, w []string) (string, stmt, bool) {
	line := strings.Join(w, " ")
	return key, stmt{canon: line, set: line, unset: "no " + key}, true
}

// isDefault is a statement that FRR never prints, because it states the default.
func isDefault(key string) (string, stmt, bool) { return key, stmt{}, true }

func unknownLine() (string, stmt, bool) { return "", stmt{}, false }

// switched is a statement that is on or off: FRR prints it only when it differs
// from the default.
func switched(name string, on, byDefault bool) (string, stmt, bool) {
	switch {
	case on == byDefault:
		return isDefault(name)
	case on:
		return name, stmt{canon: name, set: name, unset: "no " + name}, true
	default:
		return name, stmt{canon: "no " + name, set: "no " + name, unset: name}, true
	}
}

func (p *parser) global(w []string) bool {
	line := strings.Join(w, " ")
	switch {
	case line == "frr defaults traditional":
		return true // FRR's own default
	case line == "ip forwarding", line == "no ip forwarding", line == "ipv6 forwarding", line == "no ipv6 forwarding":
		return true // zebra prints what the kernel has
	}
	if line == "debug bgp updates" { // FRR takes it for both directions
		return p.global(append(w, "in")) && p.global(append(w, "out"))
	}
	return p.config.globals.add(globalLine(w, line))
}

func globalLine(w []string, line string) (string, stmt, bool) {
	off := w[0] == "no"
	if off {
		w = w[1:]
	}
	name := strings.Join(w, " ")
	switch {
	case name == "ip nht resolve-via-default", name == "ipv6 nht resolve-via-default":
		return name, stmt{canon: line, set: line, unset: negate(line)}, true
	case off:
		return unknownLine()
	case len(w) == 2 && w[0] == "hostname":
		return simple("hostname", w)
	case w[0] == "log":
		return logLine(w)
	case len(w) == 4 && w[0] == "bgp" && w[1] == "route-map" && w[2] == "delay-timer":
		if w[3] == "5" {
			return isDefault(delayTimer)
		}
		return simple(delayTimer, w)
	case w[0] == "debug" && len(w) >= 3 && slices.Contains([]string{"bgp", "zebra", "bfd"}, w[1]):
		return simple(line, w)
	}
	return unknownLine()
}

func negate(line string) string {
	if rest, off := strings.CutPrefix(line, "no "); off {
		return rest
	}
	return "no " + line
}

func logLine(w []string) (string, stmt, bool) {
	if len(w) > 2 && w[len(w)-1] == "debugging" {
		w = w[:len(w)-1] // the level FRR logs at when none is named
	}
	switch {
	case len(w) >= 2 && len(w) <= 3 && (w[1] == "stdout" || w[1] == "syslog"):
		return simple("log "+w[1], w)
	case len(w) >= 3 && len(w) <= 4 && w[1] == "file":
		return simple("log file", w)
	case len(w) == 4 && w[1] == "timestamp" && w[2] == "precision":
		if w[3] == "0" {
			return isDefault("log timestamp precision")
		}
		return simple("log timestamp precision", w)
	}
	return unknownLine()
}

// mapLine takes a line of a route-map entry.
func mapLine(w []string) (string, stmt, bool) {
	if len(w) < 2 {
		return unknownLine()
	}
	switch w[0] {
	case "description":
		return simple("description", w)
	case "call":
		return simple("call", w)
	case "on-match":
		key, s, ok := simple("on-match", w)
		s.unset = "no on-match " + w[1]
		return key, s, ok
	case "match":
		return matchLine(w)
	case "set":
		return setLine(w)
	}
	return unknownLine()
}

func matchLine(w []string) (string, stmt, bool) {
	switch {
	case len(w) >= 3 && len(w) <= 4 && (w[1] == "community" || w[1] == "large-community"):
		return simple("match "+w[1], w)
	case len(w) == 5 && (w[1] == "ip" || w[1] == "ipv6") && w[2] == "address" && w[3] == "prefix-list":
		return simple(strings.Join(w[:4], " "), w)
	}
	return unknownLine()
}

func setLine(w []string) (string, stmt, bool) {
	if len(w) < 3 {
		return unknownLine()
	}
	key := "set " + w[1]
	switch w[1] {
	case "community", "large-community":
		values, mode := w[2:], ""
		if values[len(values)-1] == "additive" {
			values, mode = values[:len(values)-1], " additive"
		}
		_, s, ok := simple(key, w)
		s.canon = key + " " + strings.Join(canonicalCommunities(w[1] == "large-community", values), " ") + mode
		return key, s, ok
	case "local-preference", "metric", "weight":
		if n, err := strconv.ParseUint(w[2], 10, 32); err == nil && len(w) == 3 {
			w = []string{w[0], w[1], strconv.FormatUint(n, 10)}
		}
		return simple(key, w)
	case "origin":
		return simple(key, w)
	case "extcommunity":
		return extCommunityLine(w)
	case "comm-list", "large-comm-list":
		if len(w) != 4 || w[3] != "delete" {
			return unknownLine()
		}
		_, s, ok := simple(key, w)
		s.unset = "no " + s.set
		return key, s, ok
	case "as-path":
		return simple(key+" "+w[2], w)
	}
	return unknownLine()
}

// extCommunityLine takes a line that sets extended communities; a line of another kind stands beside it.
func extCommunityLine(w []string) (string, stmt, bool) {
	if len(w) < 4 || !slices.Contains([]string{"rt", "soo", "bandwidth"}, w[2]) {
		return unknownLine()
	}
	key := strings.Join(w[:3], " ")
	_, s, ok := simple(key, w)
	if w[2] != "bandwidth" {
		s.canon = key + " " + strings.Join(slices.Compact(slices.Sorted(slices.Values(w[3:]))), " ")
	}
	return key, s, ok
}

// wellKnown gives the numbers of the communities that FRR prints by name
// (bgpd/bgp_community.c, RFC 1997, 3765, 7611, 7999, 8326, 9494).
var wellKnown = map[string]uint32{
	"internet": 0, "graceful-shutdown": 0xFFFF0000, "accept-own": 0xFFFF0001,
	"route-filter-translated-v4": 0xFFFF0002, "route-filter-v4": 0xFFFF0003,
	"route-filter-translated-v6": 0xFFFF0004, "route-filter-v6": 0xFFFF0005,
	"llgr-stale": 0xFFFF0006, "no-llgr": 0xFFFF0007, "accept-own-nexthop": 0xFFFF0008,
	"blackhole": 0xFFFF029A, "no-export": 0xFFFFFF01, "no-advertise": 0xFFFFFF02,
	"local-AS": 0xFFFFFF03, "no-peer": 0xFFFFFF04,
}

// canonicalCommunities sorts communities by value, writes each in one way and
// drops duplicates. Where a word is not a community the words stay as they are.
func canonicalCommunities(large bool, words []string) []string {
	type community [3]uint32
	values := make([]community, 0, len(words))
	for _, w := range words {
		parts := strings.Split(w, ":")
		n, known := wellKnown[w]
		switch {
		case known && !large:
			values = append(values, community{0, n >> 16, n & 0xFFFF})
			continue
		case len(parts) == 1 && !large:
			v, err := strconv.ParseUint(w, 10, 32)
			if err != nil {
				return words
			}
			values = append(values, community{0, uint32(v >> 16), uint32(v & 0xFFFF)})
			continue
		case large && len(parts) != 3, !large && len(parts) != 2:
			return words
		}
		var c community
		for i, part := range parts {
			v, err := strconv.ParseUint(part, 10, 32)
			if err != nil {
				return words
			}
			c[i+3-len(parts)] = uint32(v)
		}
		values = append(values, c)
	}
	slices.SortFunc(values, func(a, b community) int { return slices.Compare(a[:], b[:]) })
	values = slices.Compact(values)
	out := make([]string, 0, len(values))
	for _, c := range values {
		s := strconv.FormatUint(uint64(c[1]), 10) + ":" + strconv.FormatUint(uint64(c[2]), 10)
		if large {
			s = strconv.FormatUint(uint64(c[0]), 10) + ":" + s
		}
		out = append(out, s)
	}
	return out
}

// profileLine takes a line of a BFD profile. The defaults are bfdd's
// (bfdd/bfd.h); bfdd has no command to take a value back, so the default is set.
func profileLine(w []string) (string, stmt, bool) {
	numbers := map[string]string{
		"detect-multiplier": "3", "receive-interval": "300", "transmit-interval": "300", "minimum-ttl": "254",
		"echo transmit-interval": "50", "echo receive-interval": "50",
	}
	off := w[0] == "no"
	if off {
		w = w[1:]
	}
	line := strings.Join(w, " ")
	switch line {
	case "echo-mode", "passive-mode", "shutdown":
		return switched(line, !off, false)
	case "log-session-changes":
		return switched(line, !off, false)
	}
	if off || len(w) < 2 {
		return unknownLine()
	}
	key, value := strings.Join(w[:len(w)-1], " "), w[len(w)-1]
	if key == "echo-interval" { // the old name of both
		key = "echo transmit-interval"
	}
	initial, known := numbers[key]
	switch {
	case !known:
		return unknownLine()
	case value == initial:
		return isDefault(key)
	}
	return key, stmt{canon: key + " " + value, set: line, unset: key + " " + initial}, true
}

func (f *family) line(w []string) bool {
	off := w[0] == "no"
	if off {
		w = w[1:]
	}
	switch {
	case len(w) >= 3 && w[0] == "neighbor":
		return f.neighborLine(off, w[1], w[2:])
	case !off && w[0] == "network" && (len(w) == 2 || len(w) == 4 && w[2] == "route-map"):
		prefix, err := netip.ParsePrefix(w[1])
		if err != nil {
			return false
		}
		n := network{prefix: prefix.Masked()}
		if len(w) == 4 {
			n.routeMap = w[3]
		}
		f.networks = append(f.networks, n)
		return true
	}
	return false
}

// neighborLine takes a line about a neighbor within an address family.
func (f *family) neighborLine(off bool, name string, w []string) bool {
	b := f.neighbor(name)
	prefix := "neighbor " + name + " "
	line := prefix + strings.Join(w, " ")
	text := strings.Join(w, " ")
	replace := func(key string) bool {
		if off {
			return false
		}
		b[key] = stmt{canon: line, set: line, unset: "no " + prefix + key}
		return true
	}
	switch {
	case text == "activate":
		b["activate"] = stmt{canon: onOff(off) + line, set: onOff(off) + line, unset: onOff(!off) + line}
		return true
	case len(w) == 3 && (w[0] == "route-map" || w[0] == "prefix-list") && (w[2] == "in" || w[2] == "out"):
		if off {
			return false
		}
		b[w[0]+" "+w[2]] = stmt{canon: line, set: line, unset: "no " + line}
		return true
	case w[0] == "maximum-prefix", w[0] == "allowas-in":
		return replace(w[0])
	case text == "soft-reconfiguration inbound", text == "next-hop-self", text == "next-hop-self force":
		return replace(text)
	case w[0] == "send-community" && len(w) <= 2:
		if off { // all kinds are sent unless switched off
			b[text] = stmt{canon: "no " + line, set: "no " + line, unset: line}
		}
		return true
	}
	return false
}

func onOff(off bool) string {
	if off {
		return "no "
	}
	return ""
}

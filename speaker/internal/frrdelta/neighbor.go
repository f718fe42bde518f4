package frrdelta

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// routerLine takes a line of a `router bgp` block that is not about a neighbor.
func routerLine(w []string) (string, stmt, bool) {
	off := w[0] == "no"
	if off {
		w = w[1:]
	}
	line := strings.Join(w, " ")
	switch line {
	case "bgp ebgp-requires-policy", "bgp default ipv4-unicast":
		return switched(line, !off, true)
	case "bgp network import-check", "bgp suppress-duplicates":
		return switched(line, !off, true)
	case "bgp graceful-restart preserve-fw-state", "bgp log-neighbor-changes":
		return switched(line, !off, false)
	case "bgp graceful-restart", "bgp graceful-shutdown":
		return switched(line, !off, false)
	}
	if off {
		return unknownLine()
	}
	return routerValue(w, line)
}

// routerValue takes one that sets a value.
func routerValue(w []string, line string) (string, stmt, bool) {
	switch line {
	case "bgp listen limit 100":
		return isDefault("bgp listen limit")
	case "timers bgp 60 180":
		return isDefault("timers bgp")
	}
	switch {
	case len(w) == 3 && w[0] == "bgp" && w[1] == "router-id":
		return simple("bgp router-id", w)
	case len(w) == 4 && w[0] == "bgp" && w[1] == "listen" && w[2] == "limit":
		return simple("bgp listen limit", w)
	case len(w) == 4 && w[0] == "timers" && w[1] == "bgp":
		return simple("timers bgp", w)
	}
	return unknownLine()
}

// listenLine takes a line that makes sessions be accepted from a prefix. Of a peer group that is not known by then FRR takes none.
func (r *router) listenLine(w []string) bool {
	if len(w) != 6 || w[1] != "listen" || w[2] != "range" || w[4] != "peer-group" {
		return false
	}
	prefix, err := netip.ParsePrefix(w[3])
	if n := r.neighbors[w[5]]; err != nil || n == nil || !n.group {
		return false
	}
	prefix = prefix.Masked()
	r.ranges[prefix] = listenRange{prefix: prefix, group: w[5]}
	return true
}

// neighborLine takes a line about a neighbor outside of address families.
func (r *router) neighborLine(name string, w []string) bool {
	n := r.neighbors[name]
	if n == nil {
		created, ok := newNeighbor(w)
		if !ok {
			return false
		}
		r.neighbors[name] = created
		return true
	}
	switch {
	case w[0] == "interface" || w[0] == "remote-as" || n.group && w[0] == "peer-group":
		again, ok := newNeighbor(w)
		if !ok || again.iface && !n.iface {
			return false
		}
		n.remote = cmp.Or(again.remote, n.remote)
		return true
	case len(w) >= 2 && w[0] == "bfd" && w[1] == "profile":
		// FRR prints the plain statement as well.
		n.session.add(sessionLine(name, []string{"bfd"}))
	}
	return n.session.add(sessionLine(name, w))
}

// newNeighbor takes the line that brings a neighbor into being.
func newNeighbor(w []string) (*neighbor, bool) {
	n := &neighbor{session: block{}}
	if len(w) == 1 && w[0] == "peer-group" {
		n.group = true
		return n, true // its remote-as follows on a line of its own
	}
	if w[0] == "interface" {
		n.iface = true
		w = w[1:]
		if len(w) > 0 && w[0] == "v6only" {
			n.interfaceWords = " v6only"
			w = w[1:]
		}
		if len(w) == 0 {
			return n, true // its remote-as follows on a line of its own
		}
	}
	if len(w) != 2 || w[0] != "remote-as" {
		return nil, false
	}
	n.remote = w[1]
	return n, true
}

// create are the commands that bring the neighbor into being.
func (n *neighbor) create(name string) []string {
	switch {
	case n.group && n.remote == "":
		return []string{"neighbor " + name + " peer-group"}
	case n.group:
		return []string{"neighbor " + name + " peer-group", "neighbor " + name + " remote-as " + n.remote}
	case n.iface:
		return []string{"neighbor " + name + " interface" + n.interfaceWords + " remote-as " + n.remote}
	default:
		return []string{"neighbor " + name + " remote-as " + n.remote}
	}
}

// sameAs tells whether the other can be made of the neighbor in place.
func (n *neighbor) sameAs(o *neighbor, name string) bool {
	return slices.Equal(n.create(name), o.create(name))
}

func (n *neighbor) remove(name string) string {
	switch {
	case n.group:
		return "no neighbor " + name + " peer-group"
	case n.iface:
		return "no neighbor " + name + " interface"
	default:
		return "no neighbor " + name
	}
}

// sessionLine takes a session setting of a neighbor.
func sessionLine(name string, w []string) (string, stmt, bool) {
	prefix := "neighbor " + name + " "
	full := append(strings.Fields(prefix), w...)
	keyed := func(key string) (string, stmt, bool) {
		_, s, ok := simple(prefix+key, full)
		return key, s, ok
	}
	text := strings.Join(w, " ")
	switch text {
	case "bfd", "disable-connected-check", "passive", "shutdown", "graceful-restart", "graceful-restart-helper",
		"graceful-restart-disable", "capability extended-nexthop":
		return keyed(text)
	case "port 179":
		return isDefault("port")
	case "ebgp-multihop 1":
		return isDefault("ebgp-multihop")
	case "ebgp-multihop", "ebgp-multihop 255":
		key, s, ok := keyed("ebgp-multihop")
		s.canon = prefix + "ebgp-multihop 255"
		return key, s, ok
	}
	if len(w) < 2 {
		return unknownLine()
	}
	switch w[0] {
	case "description", "password", "update-source", "port", "local-as", "advertisement-interval", "ebgp-multihop":
		return keyed(w[0])
	case "timers":
		if w[1] == "connect" {
			return keyed(connectTimer)
		}
		return keyed("timers")
	case "bfd":
		if w[1] == "profile" && len(w) == 3 {
			key, s, ok := keyed("bfd profile")
			s.unset = "no " + s.set
			return key, s, ok
		}
	case "ttl-security":
		key, s, ok := keyed("ttl-security")
		s.unset = "no " + s.set
		return key, s, ok
	}
	return unknownLine()
}

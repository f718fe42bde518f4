package frrdelta

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// context is one level of the configuration modes a parser is in. accept takes
// a line that belongs to the level and says whether it did.
type context struct {
	opener string
	accept func(words []string) bool
	// family is set where the level is an address family, and router with it.
	family *family
	router routerID
	// name is the family's.
	name string
	// swallows: the level is of a kind that is not known; everything in it is unknown too.
	swallows bool
}

type parser struct {
	config   *Config
	contexts []context
	// strange: the line just read is unknown or belongs to an unknown mode.
	strange bool
	// network: the line just read is a plain network line.
	network bool
}

func newParser() *parser {
	p := &parser{config: newConfig()}
	p.contexts = []context{{accept: p.root}}
	return p
}

// openers begin the modes of FRR that Parse knows nothing of; what follows in
// them must not be taken for something else.
var openers = []string{
	"router", "interface", "vrf", "address-family", "key", "line", "segment-routing", "pbr-map", "l2vpn", "vni",
	"nexthop-group", "mpls", "peer", "bmp", "rpki", "affinity-map", "flex-algo", "link-params", "traffic-eng",
	"srv6", "locators", "locator", "encapsulation", "pcep", "policy", "segment-list", "candidate-path",
}

func (p *parser) line(line string) {
	f := p.contexts[len(p.contexts)-1].family
	if p.network = f != nil && f.plainNetwork(line); p.network {
		return
	}
	words := strings.Fields(line)
	switch {
	case len(words) == 0, line[0] == '!', line[0] == '#':
		return
	case line == "end", line == "service integrated-vtysh-config":
		// The latter exists in the outermost mode only, which FRR returns to for it.
		p.contexts = p.contexts[:1]
		return
	case line == "exit" || line == "quit" || strings.HasPrefix(line, "exit-"):
		if len(p.contexts) > 1 {
			p.strange = p.contexts[len(p.contexts)-1].swallows
			p.contexts = p.contexts[:len(p.contexts)-1]
		}
		return
	case line == "Building configuration..." || line == "Current configuration:":
		return
	}
	for depth := len(p.contexts); depth > 0 && !p.contexts[depth-1].swallows; depth-- {
		// FRR tries the mode it is in, then those around it, and stays where the line fits.
		saved := p.contexts // accept writes to what lies behind it only where it succeeds
		p.contexts = p.contexts[:depth]
		if p.contexts[depth-1].accept(words) {
			return
		}
		p.contexts = saved
	}
	p.unknown(strings.Join(words, " "), words[0])
}

func (p *parser) unknown(text, first string) {
	l := Line{Text: text}
	for _, c := range p.contexts[1:] {
		l.Context = append(l.Context, c.opener)
	}
	l.opens = slices.Contains(openers, first)
	p.config.unknown = append(p.config.unknown, l)
	p.strange = true
	if l.opens {
		p.contexts = append(p.contexts, context{opener: text, swallows: true})
	}
}

func (p *parser) enter(words []string, accept func([]string) bool) bool {
	p.contexts = append(p.contexts, context{opener: strings.Join(words, " "), accept: accept})
	return true
}

// root takes the lines of the outermost level.
func (p *parser) root(w []string) bool {
	switch {
	case len(w) == 3 && w[0] == "frr" && w[1] == "version":
		p.config.version = parseVersion(w[2])
		return true
	case len(w) >= 4 && w[0] == "bgp" && (w[1] == "community-list" || w[1] == "large-community-list"):
		return p.list(w)
	case len(w) >= 5 && (w[0] == "ip" || w[0] == "ipv6") && w[1] == "prefix-list":
		return p.prefixList(w)
	}
	return p.mode(w) || p.global(w)
}

// mode takes a line that begins a mode whose lines are known.
func (p *parser) mode(w []string) bool {
	switch {
	case len(w) == 4 && w[0] == "route-map":
		return p.routeMap(w)
	case len(w) >= 3 && w[0] == "router" && w[1] == "bgp":
		return p.router(w)
	case len(w) == 1 && w[0] == "bfd":
		p.config.bfd = true
		return p.enter(w, p.bfd)
	case len(w) == 2 && (w[0] == "vrf" || w[0] == "interface"):
		// FRR prints these for what exists on the machine; empty they mean nothing.
		return p.enter(w, func([]string) bool { return false })
	}
	return false
}

func parseVersion(s string) version {
	v := version{text: s}
	parts := strings.SplitN(s, ".", 3)
	v.major, _ = strconv.Atoi(parts[0])
	if len(parts) > 1 {
		v.minor, _ = strconv.Atoi(parts[1])
	}
	return v
}

// list takes an entry of a community list.
func (p *parser) list(w []string) bool {
	id := listID{kind: w[1]}
	rest := w[2:]
	if rest[0] == "standard" || rest[0] == "expanded" {
		id.style, rest = rest[0], rest[1:]
	}
	if len(rest) < 3 {
		return false
	}
	id.name, rest = rest[0], rest[1:]
	seq := 0
	if rest[0] == "seq" {
		n, err := strconv.Atoi(rest[1])
		if err != nil || len(rest) < 4 {
			return false
		}
		seq, rest = n, rest[2:]
	}
	if len(rest) < 2 || rest[0] != "permit" && rest[0] != "deny" {
		return false
	}
	p.config.addEntry(id, seq, rest[0], rest[1:])
	return true
}

// addEntry adds an entry to a community list as FRR does; seq is 0 where the
// line gives no number.
func (c *Config) addEntry(id listID, seq int, action string, value []string) {
	line := strings.Join(value, " ")
	if id.style != "expanded" {
		value = canonicalCommunities(id.kind == "large-community-list", value)
	}
	canon := action + " " + strings.Join(value, " ")
	entries := c.lists[id]
	for n, e := range entries {
		if e.canon == canon && n != seq {
			return // FRR keeps the first of two equal entries
		}
	}
	if seq == 0 {
		for n := range entries { // FRR's rule for an entry without a number
			seq = max(seq, n)
		}
		seq = seq/5*5 + 5
	}
	if entries == nil {
		entries = map[int]stmt{}
		c.lists[id] = entries
	}
	set := fmt.Sprintf("%s seq %d %s %s", id.prefix(), seq, action, line)
	entries[seq] = stmt{canon: canon, set: set, unset: "no " + set}
}

func (id listID) prefix() string {
	if id.style == "" {
		return "bgp " + id.kind + " " + id.name
	}
	return "bgp " + id.kind + " " + id.style + " " + id.name
}

func (p *parser) routeMap(w []string) bool {
	seq, err := strconv.Atoi(w[3])
	if err != nil || w[2] != "permit" && w[2] != "deny" {
		return false
	}
	entries := p.config.maps[w[1]]
	if entries == nil {
		entries = map[int]*mapEntry{}
		p.config.maps[w[1]] = entries
	}
	e := entries[seq]
	if e == nil {
		e = &mapEntry{lines: block{}}
		entries[seq] = e
	}
	e.action = w[2]
	return p.enter(w, func(w []string) bool { return e.lines.add(mapLine(w)) })
}

func (p *parser) router(w []string) bool {
	id := routerID{as: w[2]}
	if len(w) == 5 && w[3] == "vrf" {
		id.vrf = w[4]
	} else if len(w) != 3 {
		return false
	}
	r := p.config.routers[id]
	if r == nil {
		r = newRouter()
		p.config.routers[id] = r
	}
	return p.enter(w, func(w []string) bool {
		if w[0] == "address-family" {
			return p.addressFamily(id, r, w)
		}
		if w[0] == "neighbor" && len(w) >= 3 {
			return r.neighborLine(w[1], w[2:])
		}
		return r.listenLine(w) || r.settings.add(routerLine(w))
	})
}

func (p *parser) addressFamily(id routerID, r *router, w []string) bool {
	if len(w) < 2 || w[1] != "ipv4" && w[1] != "ipv6" || len(w) > 3 || len(w) == 3 && w[2] != "unicast" {
		return false
	}
	name := w[1] + " unicast"
	f := r.family(name)
	p.enter(w, f.line)
	c := &p.contexts[len(p.contexts)-1]
	c.family, c.router, c.name = f, id, name
	return true
}

// plainNetwork takes the line that a configuration has by the thousand, in the
// form that both FRR and the renderer write, without the cost of the general way.
func (f *family) plainNetwork(line string) bool {
	rest, ok := strings.CutPrefix(line, "network ")
	if !ok {
		return false
	}
	text, name, mapped := strings.Cut(rest, " route-map ")
	if mapped && (name == "" || strings.ContainsAny(name, " \t")) {
		return false
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix != prefix.Masked() {
		return false
	}
	// A part of the text would keep all of it in memory for as long as the prefix is there.
	if last := len(f.networks) - 1; last >= 0 && f.networks[last].routeMap == name {
		name = f.networks[last].routeMap
	} else {
		name = strings.Clone(name)
	}
	f.networks = append(f.networks, network{prefix: prefix, routeMap: name})
	return true
}

func (p *parser) bfd(w []string) bool {
	if len(w) != 2 || w[0] != "profile" {
		return false
	}
	b := p.config.profiles[w[1]]
	if b == nil {
		b = block{}
		p.config.profiles[w[1]] = b
	}
	return p.enter(w, func(w []string) bool { return b.add(profileLine(w)) })
}

// add takes a statement into the block. A statement that says what is the
// default anyway removes an earlier one with the same key.
func (b block) add(key string, s stmt, known bool) bool {
	if !known {
		return false
	}
	if s.canon == "" {
		delete(b, key)
	} else {
		b[key] = s
	}
	return true
}

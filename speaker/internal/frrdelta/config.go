// Package frrdelta finds the vty commands that lead from the configuration FRR
// runs to the one that is wanted, in an order in which no prefix is ever seen by
// a peer without the policy that belongs to it; or it says why the whole file
// has to be loaded instead.
//
// It reads the configuration texts of FRR 8.4 to 10.x: what `show
// running-config` of a daemon prints, and frr.conf. Two texts that mean the same
// to FRR (a default written out, a community by name or by number, another
// order of lines) give equal Configs, so comparing what runs with what is wanted
// comes to rest.
package frrdelta

import "net/netip"

// Config is a configuration in canonical form. Statements that state a default
// are left out of it.
type Config struct {
	version version
	globals block
	lists   map[listID]map[int]stmt
	maps    map[string]map[int]*mapEntry
	// prefixLists are by family and name, then by number.
	prefixLists map[prefixListID]map[int]stmt
	routers     map[routerID]*router
	profiles    map[string]block
	// bfd: there is a bfd block, be it empty.
	bfd     bool
	unknown []Line
}

// Line is a configuration line with the lines of the contexts it stands in,
// outermost first.
type Line struct {
	Context []string
	Text    string

	opens bool // a mode of its own, in which the lines after it stand
}

// stmt is one statement: its canonical text, which alone is compared, and the
// commands that make and undo it.
type stmt struct {
	canon, set, unset string
}

// block holds the statements of one context. The key is what a second statement
// would replace.
type block map[string]stmt

type listID struct {
	kind  string // "community-list", "large-community-list"
	style string // "standard", "expanded", or "" for numbered lists
	name  string
}

type mapEntry struct {
	action string // "permit" or "deny"
	lines  block
}

type routerID struct{ as, vrf string }

type router struct {
	settings block
	// ranges are the prefixes from which sessions are accepted, by prefix.
	ranges    map[netip.Prefix]listenRange
	neighbors map[string]*neighbor
	families  map[string]*family
}

// listenRange is a prefix from which sessions are accepted, and the peer group that they are of.
type listenRange struct {
	prefix netip.Prefix
	group  string
}

func (l listenRange) set() string {
	return "bgp listen range " + l.prefix.String() + " peer-group " + l.group
}

func (l listenRange) unset() string { return "no " + l.set() }

type neighbor struct {
	// group: the name is that of a peer group.
	group bool
	// iface: the name is an interface, the session is unnumbered.
	iface bool
	// interfaceWords stands between "interface" and "remote-as", "v6only" or nothing.
	interfaceWords string
	remote         string
	session        block
}

type family struct {
	neighbors map[string]block
	networks  []network // sorted by prefix once the text is read
}

// network is an announced prefix, in its canonical form, and the route-map that
// sets its attributes, empty for none. There may be many thousands.
type network struct {
	prefix   netip.Prefix
	routeMap string
}

func (n network) set() string {
	if n.routeMap == "" {
		return "network " + n.prefix.String()
	}
	return "network " + n.prefix.String() + " route-map " + n.routeMap
}

func (n network) unset() string { return "no network " + n.prefix.String() }

func newConfig() *Config {
	return &Config{
		globals:     block{},
		lists:       map[listID]map[int]stmt{},
		maps:        map[string]map[int]*mapEntry{},
		prefixLists: map[prefixListID]map[int]stmt{},
		routers:     map[routerID]*router{},
		profiles:    map[string]block{},
	}
}

func newRouter() *router {
	return &router{settings: block{}, ranges: map[netip.Prefix]listenRange{}, neighbors: map[string]*neighbor{}, families: map[string]*family{}}
}

// Unknown returns the lines that Parse cannot place, in the order of the text.
// Nothing is known about what they mean, so only loading the whole file can
// change them.
func (c *Config) Unknown() []Line { return c.unknown }

// Version is the FRR version that the text states ("8.4.4"), empty where it states none.
func (c *Config) Version() string { return c.version.text }

// version is an FRR version, compared by its first two numbers.
type version struct {
	text         string
	major, minor int
}

func (r *router) family(name string) *family {
	f := r.families[name]
	if f == nil {
		f = &family{neighbors: map[string]block{}}
		r.families[name] = f
	}
	return f
}

func (f *family) neighbor(name string) block {
	b := f.neighbors[name]
	if b == nil {
		b = block{}
		f.neighbors[name] = b
	}
	return b
}

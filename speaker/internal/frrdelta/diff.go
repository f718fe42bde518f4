package frrdelta

import (
	"maps"
	"slices"
	"strings"
)

// Diff compares what the daemons run, each by itself, with what is wanted of
// them together. It returns the commands in an order in which a policy is in
// place before something uses it and stays until nothing does. *Full is nil
// unless the whole file has to be loaded; the Plan is empty then.
func Diff(running map[string]*Config, wanted *Config, residue Residue) (Plan, *Full) {
	for _, daemon := range []string{"zebra", "bgpd", "bfdd"} {
		if running[daemon] == nil {
			return Plan{}, &Full{Cause: MissingDaemon, Text: daemon}
		}
	}
	if full := strange(running, wanted, residue); full != nil {
		return Plan{}, full
	}
	bgp := running["bgpd"]
	d := &differ{running: running, have: bgp, want: wanted}
	d.globals(false)
	d.profiles(false)
	policy := d.policy()
	if d.want.globals[delayTimer].set == delayTimer+" 0" { // which means that bgpd takes no notice of changes
		maps.Copy(policy.relisted, policy.changed)
		policy.changed = nil
	}
	d.steps(policy.first)
	d.routers()
	d.networks(policy.relisted)
	d.steps(policy.last)
	d.profiles(true)
	d.globals(true)
	d.evaluate(policy.changed)
	d.refresh(policy.relisted)
	d.mirror()
	return Plan{Steps: d.out}, nil
}

func (id routerID) command() string {
	if id.vrf == "" {
		return "router bgp " + id.as
	}
	return "router bgp " + id.as + " vrf " + id.vrf
}

// scope is the part of a clear command that names the instance.
func (id routerID) scope() string {
	if id.vrf == "" {
		return ""
	}
	return "vrf " + id.vrf + " "
}

func keysOf(a, b block) []string {
	keys := sorted(a)
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// changes lists the commands that lead from one block to the other: what undoes,
// last key first, and what sets.
func changes(have, want block) (unset, set []string) {
	for _, key := range keysOf(have, want) {
		old, now := have[key], want[key]
		switch {
		case old.canon == now.canon:
		case now.canon == "":
			unset = append(unset, old.unset)
		default:
			set = append(set, now.set)
		}
	}
	slices.Reverse(unset)
	return unset, set
}

type differ struct {
	running map[string]*Config
	have    *Config // what bgpd runs
	want    *Config
	out     []Step
}

func (d *differ) steps(s []Step) { d.out = append(d.out, s...) }

func (d *differ) step(daemon string, lines ...string) {
	if len(lines) > 0 {
		d.out = append(d.out, Step{Daemon: daemon, Lines: lines})
	}
}

// globals sets, or in the later pass undoes, what stands outside of any block.
func (d *differ) globals(later bool) {
	for _, daemon := range sorted(d.running) {
		have, want := d.globalsOf(daemon, d.running[daemon]), d.globalsOf(daemon, d.want)
		unset, set := changes(have, want)
		if later {
			d.step(daemon, unset...)
		} else {
			d.step(daemon, set...)
		}
	}
}

// globalsOf picks the statements of a configuration that the daemon owns.
func (d *differ) globalsOf(daemon string, c *Config) block {
	nht := "zebra"
	if d.running["mgmtd"] != nil && d.running["mgmtd"].version.major >= 10 {
		nht = "mgmtd"
	}
	picked := block{}
	for key, s := range c.globals {
		owner := daemon
		switch {
		case strings.HasSuffix(key, " nht resolve-via-default"):
			owner = nht
			if nht == "mgmtd" && !strings.HasPrefix(s.canon, "no ") {
				continue // on by default since FRR moved it there
			}
		case strings.HasPrefix(key, "debug "):
			owner = map[string]string{"bgp": "bgpd", "zebra": "zebra", "bfd": "bfdd"}[strings.Fields(key)[1]]
		case strings.HasPrefix(key, "bgp "):
			owner = "bgpd"
		}
		if owner == daemon {
			picked[key] = s
		}
	}
	return picked
}

// profiles sets, or in the later pass removes, BFD profiles.
func (d *differ) profiles(later bool) {
	have := d.running["bfdd"].profiles
	if later {
		var lines []string
		for _, name := range sorted(have) {
			if d.want.profiles[name] == nil {
				lines = append(lines, "no profile "+name)
			}
		}
		if len(lines) > 0 {
			d.step("bfdd", slices.Concat([]string{"bfd"}, lines, []string{"exit"})...)
		}
		if d.running["bfdd"].bfd && !d.want.bfd {
			d.out = append(d.out, Step{Daemon: "bfdd", Lines: []string{"no bfd"}, Cosmetic: true})
		}
		return
	}
	for _, name := range sorted(d.want.profiles) {
		unset, set := changes(have[name], d.want.profiles[name])
		if have[name] == nil || len(unset)+len(set) > 0 {
			d.step("bfdd", slices.Concat([]string{"bfd", "profile " + name}, unset, set, []string{"exit", "exit"})...)
		}
	}
}

// networks withdraws, moves and adds prefixes of routers that are there; new ones
// have theirs already.
func (d *differ) networks(changed map[string]bool) {
	for _, id := range d.routerIDs() {
		if old := d.have.routers[id]; old != nil {
			d.networksOf(id, old, d.want.routers[id], changed)
		}
	}
}

// networksOf does so for one router. A prefix whose route-map has changed is
// entered again, which makes bgpd apply it.
func (d *differ) networksOf(id routerID, old, r *router, changed map[string]bool) {
	for _, name := range familyNames(old, r) {
		gone, set := networkChanges(old.families[name].nets(), r.families[name].nets(), changed)
		if len(gone)+len(set) > 0 {
			d.step("bgpd", slices.Concat([]string{id.command(), "address-family " + name}, gone, set, []string{"exit-address-family", "exit"})...)
		}
	}
}

// networkChanges walks two sorted lists of prefixes.
func networkChanges(have, want []network, changed map[string]bool) (gone, set []string) {
	for len(have) > 0 && len(want) > 0 {
		order := 0
		if have[0] != want[0] { // which is cheap, and as a rule they are the same
			order = have[0].prefix.Compare(want[0].prefix)
		}
		switch {
		case order < 0:
			gone = append(gone, have[0].unset())
		case order > 0 || have[0] != want[0] || len(changed) > 0 && changed[want[0].routeMap]:
			set = append(set, want[0].set())
		}
		if order <= 0 {
			have = have[1:]
		}
		if order >= 0 {
			want = want[1:]
		}
	}
	for _, n := range have {
		gone = append(gone, n.unset())
	}
	for _, n := range want {
		set = append(set, n.set())
	}
	return gone, set
}

func (f *family) nets() []network {
	if f == nil {
		return nil
	}
	return f.networks
}

func (f *family) peers() map[string]block {
	if f == nil {
		return nil
	}
	return f.neighbors
}

func (d *differ) routerIDs() []routerID {
	return slices.SortedFunc(maps.Keys(d.want.routers), func(a, b routerID) int {
		return strings.Compare(a.command(), b.command())
	})
}

func familyNames(a, b *router) []string {
	names := map[string]bool{}
	for name := range a.families {
		names[name] = true
	}
	for name := range b.families {
		names[name] = true
	}
	return sorted(names)
}

// evaluate makes bgpd work off changed route-maps at once, as it does when the
// delay timer ends: it computes anew the prefixes that come from one, and what
// every neighbor is sent by one, and sends what became different of it. FRR has no
// command for that, but ends the timer early where it is set to 0 (FRR,
// bgpd/bgp_routemap.c). Both lines are carried out in one go, so the 0 is never in force.
func (d *differ) evaluate(changed map[string]bool) {
	if len(changed) == 0 {
		return
	}
	back := d.want.globals[delayTimer].set
	if back == "" {
		back = "no " + delayTimer
	}
	d.out = append(d.out, Step{Daemon: "bgpd", Lines: []string{delayTimer + " 0", back}, Late: true})
}

// delayTimer sets how long bgpd waits before it works off changed route-maps.
const delayTimer = "bgp route-map delay-timer"

// refresh makes bgpd send each neighbor again everything that a policy makes of
// it; the session stays up. It is for a changed community list, of which bgpd does
// not always take notice by itself.
func (d *differ) refresh(changed map[string]bool) {
	var lines []string
	for _, id := range d.routerIDs() {
		old := d.have.routers[id]
		if old == nil {
			continue
		}
		for _, name := range familyNames(old, d.want.routers[id]) {
			have, want := old.families[name].peers(), d.want.routers[id].families[name].peers()
			for _, peer := range sorted(want) {
				for _, way := range []string{"in", "out"} {
					s := want[peer]["route-map "+way]
					if s.canon == "" || have[peer]["route-map "+way].canon != s.canon || !changed[strings.Fields(s.canon)[3]] {
						continue // bgpd does it by itself where the name changes
					}
					whom := peer
					if n := d.want.routers[id].neighbors[peer]; n != nil && n.group {
						whom = "peer-group " + peer
					}
					lines = append(lines, "clear bgp "+id.scope()+name+" "+whom+" soft "+way)
				}
			}
		}
	}
	if len(lines) > 0 {
		d.out = append(d.out, Step{Daemon: "bgpd", Lines: lines, Exec: true})
	}
}

package frrdelta

import (
	"maps"
	"slices"
	"strings"
)

// Parse reads a configuration text. It never fails: lines it cannot place are
// kept as Unknown.
func Parse(text string) *Config { return new(Reader).Parse(text) }

// Reader reads the texts of one source, one after another. As a rule each is the
// one before but for a few prefixes; then only those are read, and the rest is
// shared with the Config before. The zero Reader has read nothing.
type Reader struct {
	text   string
	config *Config
	runs   []run
}

// run is a part of a text that has nothing but plain network lines of one
// address family, in the order of its networks.
type run struct {
	router     routerID
	family     string
	begin, end int // in bytes of the text
	first      int // the place of the first line's network in the family
}

// Parse reads a text. Its result depends on that alone.
func (r *Reader) Parse(text string) *Config {
	if r.config == nil || !r.again(text) {
		r.anew(text)
	}
	r.text = text
	return r.config
}

// anew reads all of a text.
func (r *Reader) anew(text string) {
	p := newParser()
	var runs []run
	offset := 0
	for raw := range strings.Lines(text) {
		p.line(strings.TrimSpace(raw))
		begin := offset
		offset += len(raw)
		if !p.network {
			continue
		}
		c := p.contexts[len(p.contexts)-1]
		if last := len(runs) - 1; last >= 0 && runs[last].end == begin {
			runs[last].end = offset
		} else {
			runs = append(runs, run{router: c.router, family: c.name, begin: begin, end: offset, first: len(c.family.networks) - 1})
		}
	}
	// Where the networks come in another order than the lines, nothing is known of their places.
	runs = slices.DeleteFunc(runs, func(one run) bool { return !ascending(p.config.routers[one.router].families[one.family].networks) })
	p.config.settle()
	r.config, r.runs = p.config, runs
}

func ascending(networks []network) bool {
	for i := 1; i < len(networks); i++ {
		if networks[i-1].prefix.Compare(networks[i].prefix) >= 0 {
			return false
		}
	}
	return true
}

// again reads a text that differs from the one before in nothing but plain
// network lines of one run. It returns false, with nothing done, for another.
func (r *Reader) again(text string) bool {
	begin := strings.LastIndexByte(text[:commonPrefix(r.text, text)], '\n') + 1
	tail := commonSuffix(r.text[begin:], text[begin:])
	oldEnd, newEnd := len(r.text)-tail, len(text)-tail
	if !atLine(r.text, begin, oldEnd) || !atLine(text, begin, newEnd) {
		rest := strings.IndexByte(text[newEnd:], '\n') + 1
		if rest == 0 {
			return false
		}
		oldEnd, newEnd = oldEnd+rest, newEnd+rest
	}
	if oldEnd == begin && newEnd == begin {
		return true // it is the same text
	}
	at := slices.IndexFunc(r.runs, func(one run) bool { return one.begin <= begin && oldEnd <= one.end })
	if at < 0 {
		return false
	}
	one := &r.runs[at]
	var fresh family
	for raw := range strings.Lines(text[begin:newEnd]) {
		if !fresh.plainNetwork(strings.TrimSpace(raw)) {
			return false
		}
	}
	old := r.config.routers[one.router].families[one.family].networks
	from := one.first + strings.Count(r.text[one.begin:begin], "\n")
	to := from + strings.Count(r.text[begin:oldEnd], "\n")
	if !ascending(slices.Concat(old[max(0, from-1):from], fresh.networks, old[to:min(len(old), to+1)])) {
		return false
	}
	r.config = r.config.with(one.router, one.family, slices.Concat(old[:from], fresh.networks, old[to:]))
	r.shift(at, newEnd-oldEnd, len(fresh.networks)-(to-from))
	return true
}

// shift moves the end of a run and all runs after it by bytes, and the places of
// the networks of its family by lines.
func (r *Reader) shift(at, bytes, lines int) {
	one := r.runs[at]
	r.runs[at].end += bytes
	for i := range r.runs {
		other := &r.runs[i]
		if other.begin >= one.end && i != at {
			other.begin, other.end = other.begin+bytes, other.end+bytes
			if other.router == one.router && other.family == one.family {
				other.first += lines
			}
		}
	}
	if r.runs[at].begin == r.runs[at].end {
		r.runs = slices.Delete(r.runs, at, at+1)
	}
}

// with returns a Config that differs in the networks of one family.
func (c *Config) with(id routerID, name string, networks []network) *Config {
	changed, r, f := *c, *c.routers[id], *c.routers[id].families[name]
	f.networks = networks
	r.families = maps.Clone(r.families)
	if len(f.neighbors) == 0 && len(networks) == 0 {
		delete(r.families, name) // as settle does
	} else {
		r.families[name] = &f
	}
	changed.routers = maps.Clone(c.routers)
	changed.routers[id] = &r
	return &changed
}

// atLine tells whether a line begins at end; one begins at begin.
func atLine(text string, begin, end int) bool { return end == begin || text[end-1] == '\n' }

// chunk is how many bytes are compared at once.
const chunk = 1 << 10

// commonPrefix is the length of what two texts have in common at the beginning.
func commonPrefix(a, b string) int {
	n := 0
	for n+chunk <= min(len(a), len(b)) && a[n:n+chunk] == b[n:n+chunk] {
		n += chunk
	}
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// commonSuffix is the length of what two texts have in common at the end.
func commonSuffix(a, b string) int {
	n := 0
	for n+chunk <= min(len(a), len(b)) && a[len(a)-n-chunk:len(a)-n] == b[len(b)-n-chunk:len(b)-n] {
		n += chunk
	}
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

package frrdelta

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Step is a run of commands for one daemon that belong together: sent at once
// where they fit into what a daemon reads in one go, so that it does nothing else
// between them.
type Step struct {
	// Daemon is the daemon's name, "bgpd".
	Daemon string
	// Lines are the commands, from the outermost configuration mode and back to it.
	Lines []string
	// Exec: the commands belong to enable mode, not to configuration mode.
	Exec bool
	// Late steps change no configuration. They make FRR do soon what it would do by
	// itself a little later, and may take it a while.
	Late bool
	// Cosmetic steps change only what a person sees of the configuration; FRR
	// behaves the same without them.
	Cosmetic bool
}

// Plan is what has to be done, in order. An empty Plan means that what runs is
// what is wanted.
type Plan struct{ Steps []Step }

// Equal says that FRR behaves as wanted: nothing but cosmetic steps are left.
func (p Plan) Equal() bool {
	return !slices.ContainsFunc(p.Steps, func(s Step) bool { return !s.Cosmetic })
}

// Commands counts the commands of all steps.
func (p Plan) Commands() int {
	n := 0
	for _, s := range p.Steps {
		n += len(s.Lines)
	}
	return n
}

// String lists the commands, each with its daemon; secrets are cut out.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		for _, l := range s.Lines {
			fmt.Fprintf(&b, "%s: %s\n", s.Daemon, Redact(l))
		}
	}
	return b.String()
}

// Cause is the kind of a Full.
type Cause int

const (
	// UnknownLine: the wanted configuration has a line that Parse cannot place.
	UnknownLine Cause = iota + 1
	// StrayLine: what runs has a line that Parse cannot place.
	StrayLine
	// MissingDaemon: a daemon that has a part in the configuration is not there.
	MissingDaemon
)

// String names the cause as it appears in acknowledgements and metrics.
func (c Cause) String() string {
	switch c {
	case UnknownLine:
		return "unknownLine"
	case StrayLine:
		return "strayLine"
	case MissingDaemon:
		return "missingDaemon"
	}
	return "unspecified"
}

// Full says why commands cannot lead from what runs to what is wanted, so that
// the whole file has to be loaded.
type Full struct {
	Cause Cause
	// Text is the line, setting or daemon in question.
	Text string
}

func (f *Full) Error() string {
	text := Redact(f.Text)
	switch f.Cause {
	case UnknownLine:
		return fmt.Sprintf("line %q can only be loaded with the whole file", text)
	case StrayLine:
		return fmt.Sprintf("FRR runs line %q, which is not wanted and can only be removed by loading the whole file", text)
	case MissingDaemon:
		return fmt.Sprintf("daemon %s does not answer", text)
	}
	return text
}

// secret is what stands before a secret in the lines of FRR's daemons: passwords of BGP sessions and of vtys, keys of key chains and of the
// authentication of OSPF, IS-IS, RIP and others.
var secret = regexp.MustCompile(`(^|\s)(password|key-string|authentication-key|message-digest-key|nhrp authentication|md5|secret)\s.*`)

// Redact replaces the secret in a configuration line, and all that follows it, by ***.
func Redact(line string) string {
	if !strings.ContainsAny(line, " \t") {
		return line
	}
	return secret.ReplaceAllString(line, "$1$2 ***")
}

// Residue is what a load of the whole file left behind of lines that Parse
// cannot place. While neither side changes, commands may be used for the rest.
type Residue struct {
	Wanted  []Line
	Running map[string][]Line
}

// ResidueOf returns the Residue of two configurations that a load of the whole
// file has brought together.
func ResidueOf(running map[string]*Config, wanted *Config) Residue {
	r := Residue{Wanted: wanted.unknown, Running: map[string][]Line{}}
	for daemon, c := range running {
		r.Running[daemon] = c.unknown
	}
	return r
}

func sameLines(a, b []Line) bool {
	return slices.EqualFunc(a, b, func(x, y Line) bool {
		return x.Text == y.Text && slices.Equal(x.Context, y.Context)
	})
}

// strange finds the unknown line, if any, that the residue does not account for.
func strange(running map[string]*Config, wanted *Config, residue Residue) *Full {
	asWanted := map[string]bool{}
	for _, l := range wanted.unknown {
		asWanted[l.key()] = true
	}
	settled := sameLines(wanted.unknown, residue.Wanted)
	runs := map[string]bool{}
	for _, daemon := range sorted(running) {
		if settled {
			if gone := missing(residue.Running[daemon], running[daemon].unknown); gone != nil {
				return &Full{Cause: UnknownLine, Text: gone.Text}
			}
		}
		left := settled && sameLines(running[daemon].unknown, residue.Running[daemon])
		for _, l := range running[daemon].unknown {
			runs[l.key()] = true
			if !left && !asWanted[l.key()] {
				return &Full{Cause: StrayLine, Text: l.Text}
			}
		}
	}
	for _, l := range wanted.unknown {
		if !settled && !runs[l.key()] {
			return &Full{Cause: UnknownLine, Text: l.Text}
		}
	}
	return nil
}

// missing finds a line that is gone.
func missing(were, are []Line) *Line {
	if sameLines(were, are) {
		return nil
	}
	have := map[string]bool{}
	for _, l := range are {
		have[l.key()] = true
	}
	for i := range were {
		if !have[were[i].key()] {
			return &were[i]
		}
	}
	return nil
}

func (l Line) key() string { return strings.Join(append(slices.Clone(l.Context), l.Text), "\n") }

func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Merge puts together what each daemon runs into the configuration that would
// be wanted if exactly that were to run.
func Merge(running map[string]*Config) *Config {
	merged := newConfig()
	if c := running["bgpd"]; c != nil {
		merged.lists, merged.prefixLists, merged.maps, merged.routers = c.lists, c.prefixLists, c.maps, c.routers
	}
	if c := running["bfdd"]; c != nil {
		merged.profiles, merged.bfd = c.profiles, c.bfd
	}
	seen := map[string]bool{}
	for _, daemon := range sorted(running) {
		c := running[daemon]
		maps.Copy(merged.globals, c.globals)
		for _, l := range c.unknown {
			if !seen[l.key()] {
				seen[l.key()] = true
				merged.unknown = append(merged.unknown, l)
			}
		}
	}
	return merged
}

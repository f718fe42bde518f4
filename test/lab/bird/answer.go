package bird

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// SessionsCommand and RoutesCommand are the questions whose answers ParseSessions and ParseRoutes read.
const (
	SessionsCommand = "show protocols all"
	RoutesCommand   = "show route all"
)

// Session is the state of one BGP session.
type Session struct {
	// State is BIRD's word, "Established" when it is up.
	State string
	// Since is when the protocol came into its present state, to the microsecond: unchanged means never reset.
	Since string
	// LastError is why it went down, in BIRD's words, as long as it is not up again.
	LastError string
}

// Route is one path with the attributes a neighbor sent.
type Route struct {
	Neighbor         string // its name in the configuration
	Prefix           netip.Prefix
	NextHop          netip.Addr
	ASPath           []uint32
	LocalPref        uint32  // BIRD gives an external route 100
	MED              *uint32 // nil where the update had none
	Communities      []string
	LargeCommunities []string
}

// ParseSessions reads the answer to SessionsCommand: the BGP sessions by name.
func ParseSessions(text string) map[string]Session {
	found := map[string]Session{}
	name := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 6 && fields[1] == "BGP" && line[0] != ' ':
			name = fields[0]
			found[name] = Session{Since: fields[4] + " " + fields[5]}
		case line[0] != ' ' && len(fields) > 1 && fields[1] != "BGP":
			name = ""
		case name == "":
		case strings.HasPrefix(line, "  BGP state:"):
			s := found[name]
			s.State = fields[2]
			found[name] = s
		case strings.HasPrefix(line, "    Last error:"):
			s := found[name]
			s.LastError = strings.Join(fields[2:], " ")
			found[name] = s
		}
	}
	return found
}

// ParseRoutes reads the answer to RoutesCommand: every BGP route, the best of a prefix or not.
func ParseRoutes(text string) ([]Route, error) {
	var routes []Route
	var prefix netip.Prefix
	var current *Route
	flush := func() {
		if current != nil {
			routes = append(routes, *current)
		}
		current = nil
	}
	for line := range strings.Lines(text) {
		if open := strings.IndexByte(line, '['); open >= 0 && line[0] != '\t' {
			flush()
			fields := strings.Fields(line[:open])
			if line[0] != ' ' {
				var err error
				if prefix, err = netip.ParsePrefix(fields[0]); err != nil {
					return nil, fmt.Errorf("read a route of BIRD: %w in %q", err, line)
				}
			}
			current = &Route{Neighbor: strings.Fields(line[open+1:])[0], Prefix: prefix}
			continue
		}
		name, value, found := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case current == nil:
		case found && name == "Type" && !strings.HasPrefix(value, "BGP"):
			current = nil // of an interface
		case found:
			if err := current.read(name, value); err != nil {
				return nil, fmt.Errorf("read route %s of BIRD: %w in %q", prefix, err, line)
			}
		}
	}
	flush()
	return routes, nil
}

func (r *Route) read(name, value string) error {
	var err error
	switch name {
	case "BGP.next_hop": // a link-local address may follow
		r.NextHop, err = netip.ParseAddr(strings.Fields(value)[0])
	case "BGP.as_path":
		for text := range strings.FieldsSeq(value) {
			var asn uint32
			if asn, err = number(text); err != nil {
				return err
			}
			r.ASPath = append(r.ASPath, asn)
		}
	case "BGP.local_pref":
		r.LocalPref, err = number(value)
	case "BGP.med":
		var med uint32
		med, err = number(value)
		r.MED = &med
	case "BGP.community":
		r.Communities = communities(value)
	case "BGP.large_community":
		r.LargeCommunities = communities(value)
	}
	return err
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// communities turns "(64512,100) (64512, 1, 2)" into "64512:100" and "64512:1:2", sorted.
func communities(value string) []string {
	var all []string
	for one := range strings.SplitSeq(strings.ReplaceAll(value, ", ", ","), " ") {
		all = append(all, strings.ReplaceAll(strings.Trim(one, "()"), ",", ":"))
	}
	slices.Sort(all)
	return all
}

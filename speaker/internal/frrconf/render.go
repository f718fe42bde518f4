// Package frrconf writes frr.conf: the whole configuration of FRR on one node, from what announce decided. It is pure.
//
// Lines are spelled as FRR's "show running-config" prints them, so that a comparison with what runs finds only what differs.
// Why the file has the shape it has: docs/decisions/frr-conf-shape.md.
package frrconf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	templates "github.com/seed-551707bd/metallb-operator/frr-templates"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrsnippet"
)

// Options are what a configuration holds besides BGP.
type Options struct {
	// Hostname appears in FRR's prompt and logs: the node's name.
	Hostname string
	// LogLevel is one of FRR's, see LogLevel; "" means informational.
	LogLevel string
}

// LogLevel translates a --log-level (all, debug, info, warn, error, none) into FRR's word for it. An unknown one becomes informational.
func LogLevel(level string) string {
	switch level {
	case "all", "debug":
		return "debugging"
	case "warn":
		return "warnings"
	case "error":
		return "errors"
	case "none":
		return "emergencies"
	default:
		return "informational"
	}
}

// Renderer renders configurations of one node, one after another. It keeps the lines of prefixes from one to the next: there are thousands,
// and as a rule all but one are the same again.
type Renderer struct {
	o Options
	// sections are nil until they are needed.
	sections sections
	// networks are the lines of each router's prefixes.
	networks map[string]*networks
}

// NewRenderer returns a Renderer that has not rendered yet.
func NewRenderer(o Options) *Renderer {
	if o.LogLevel == "" {
		o.LogLevel = LogLevel("")
	}
	return &Renderer{o: o, networks: map[string]*networks{}}
}

// Render renders one configuration.
func Render(bgp announce.BGP, o Options) ([]byte, error) { return NewRenderer(o).Render(bgp) }

// Render returns the complete configuration. The same input gives the same bytes, whatever the order of the lists in it and whatever was
// rendered before.
//
// An error means that the file would not say what was meant: a value that can't stand in it (it names the peer and the field, never a
// password), or two neighbors with one address. Where intent.Build is doing its work neither happens.
func (r *Renderer) Render(bgp announce.BGP) ([]byte, error) {
	if err := check(bgp, r.o); err != nil {
		return nil, fmt.Errorf("render frr.conf: %w", err)
	}
	if r.sections == nil {
		read, err := readSections(templates.Files)
		if err != nil {
			return nil, fmt.Errorf("render frr.conf: %w", err)
		}
		r.sections = read
	}
	var out bytes.Buffer
	f := r.newFile(bgp)
	if err := r.sections.fill(&out, "frr.conf.tmpl", f); err != nil {
		return nil, fmt.Errorf("render frr.conf: %w", err)
	}
	var raw []frrsnippet.Section
	for _, s := range bgp.Snippets {
		raw = append(raw, frrsnippet.Section{Name: s.Name, Text: s.Text})
	}
	return frrsnippet.Join(f.fill(out.Bytes()), raw), nil
}

// fill puts the lines of prefixes into what the templates wrote.
func (f *file) fill(text []byte) []byte {
	text = bytes.TrimRight(text, "\n")
	size := len(text) + 1
	for i := range f.Routers {
		for _, family := range f.Routers[i].Families {
			size += len(family.networks)
		}
	}
	conf := make([]byte, 0, size)
	for i := range f.Routers {
		for _, family := range f.Routers[i].Families {
			before, after, _ := bytes.Cut(text, []byte(networksMark))
			conf = append(append(conf, before...), family.networks...)
			text = after
		}
	}
	return append(append(conf, text...), '\n')
}

// Hash returns the SHA-256 of a rendered configuration in hexadecimal. It names that configuration in the reloader's acknowledgement.
func Hash(conf []byte) string {
	sum := sha256.Sum256(conf)
	return hex.EncodeToString(sum[:])
}

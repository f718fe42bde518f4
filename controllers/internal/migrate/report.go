package migrate

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Level is what a Finding means for whoever migrates.
type Level string

// The levels.
const (
	// Keep: it works on as it is.
	Keep Level = "KEEP"
	// Note: it works on, but not in every respect as before.
	Note Level = "NOTE"
	// Act: somebody has to do something, which Do says.
	Act Level = "ACT"
	// Change: a Service loses an address.
	Change Level = "CHANGE"
)

// Finding is what becomes of one object.
type Finding struct {
	Level Level
	// Object is named as everywhere: "Service shop/web".
	Object string
	// Text says what becomes of it; Do what to do, where there is something to do.
	Text, Do string
}

// String is one line.
func (f Finding) String() string {
	line := fmt.Sprintf("%-6s %s: %s", f.Level, f.Object, f.Text)
	if f.Do != "" {
		line += ". Do: " + f.Do
	}
	return line
}

// Report is everything that Check found.
type Report struct {
	// Findings are in the order of what they are about: the installation, configuration, Services, what is left over.
	Findings []Finding
	// Spec is the MetalLB object that says what MetalLB's programs were told, and Variables what the operator is to be told by its environment.
	Spec      v1beta1.MetalLBSpec
	Variables map[string]string

	// kept and lost count the Services that have addresses.
	kept, lost int
}

func (r *Report) add(level Level, object, do, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{Level: level, Object: object, Text: fmt.Sprintf(format, args...), Do: do})
}

// Count returns how many findings there are of a level.
func (r *Report) Count(level Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// ChangesAddresses tells whether a Service would lose an address.
func (r *Report) ChangesAddresses() bool { return r.lost > 0 }

// Check forecasts what becomes of w.
func Check(w *World) *Report {
	r := &Report{Variables: map[string]string{}}
	r.installation(w)
	r.configuration(w)
	r.services(w)
	r.leftovers(w)
	return r
}

// Write prints a line per finding and a summary.
func (r *Report) Write(out io.Writer) error {
	var text strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintln(&text, f)
	}
	fmt.Fprintf(&text, "\nServices: %d of %d keep their addresses", r.kept, r.kept+r.lost)
	if r.lost > 0 {
		fmt.Fprintf(&text, "; %d would lose one: see the lines that begin with %s", r.lost, Change)
	}
	if n := r.Count(Act); n > 0 {
		fmt.Fprintf(&text, ". To do: %d, in the lines that begin with %s", n, Act)
	}
	text.WriteString(".\n")
	_, err := io.WriteString(out, text.String())
	return err
}

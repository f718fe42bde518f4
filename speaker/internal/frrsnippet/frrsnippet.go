// Package frrsnippet is the form in which raw configuration of users stands in frr.conf: each text in a section of its own, between two
// comments, behind everything that the speaker writes itself. Who renders the file and who loads it take it from here. It is pure.
package frrsnippet

import (
	"bytes"
	"strings"
)

// Section is the raw configuration of one object.
type Section struct {
	// Name names the object that the text is from, "FRRSnippet metallb-system/x": one line, unique in a file.
	Name string
	// Text is what the user wrote: whole lines, the last one with its end. It must be Fit.
	Text string
}

const (
	begin = "! raw configuration: "
	end   = "! end of raw configuration"
	// reset is a line that the file has anyway and that exists in the outermost mode only: wherever a text has led, FRR and its programs are
	// back there after it. FRR overlooks "end" in a file, and takes an "exit" too many for the end of the file.
	reset = "service integrated-vtysh-config"
)

// Fit tells whether the text may be made a Section: nothing in it is taken for the border of one.
func Fit(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, strings.TrimSpace(begin)) || strings.HasPrefix(line, end) {
			return false
		}
	}
	return true
}

// Join returns the configuration with the sections behind it; without sections it is base itself.
func Join(base []byte, sections []Section) []byte {
	if len(sections) == 0 {
		return base
	}
	size := len(base)
	for _, s := range sections {
		size += len(begin) + len(s.Name) + len(s.Text) + len(reset) + len(end) + 4
	}
	out := append(make([]byte, 0, size), base...)
	for _, s := range sections {
		for _, part := range []string{begin, s.Name, "\n", s.Text, reset, "\n", end, "\n"} {
			out = append(out, part...)
		}
	}
	return out
}

// Split takes apart what Join made: Join of the results gives the same bytes. What is not in that form is all base.
func Split(conf []byte) (base []byte, sections []Section) {
	at := bytes.Index(conf, []byte("\n"+begin))
	if at < 0 {
		return conf, nil
	}
	base, rest := conf[:at+1], string(conf[at+1:])
	for rest != "" {
		head, body, _ := strings.Cut(rest, "\n")
		name, isBegin := strings.CutPrefix(head, begin)
		const border = reset + "\n" + end + "\n"
		text, after, found := "", "", strings.HasPrefix(body, border)
		if found {
			after = body[len(border):]
		} else if text, after, found = strings.Cut(body, "\n"+border); found {
			text += "\n"
		}
		if !isBegin || !found {
			return conf, nil
		}
		sections = append(sections, Section{Name: name, Text: text})
		rest = after
	}
	return base, sections
}

// Place tells where a line of a joined configuration is: the number of the line, from 1, gives the index of the section and the number of the
// line in its text. The line behind a text, which leads back to the outermost mode, is one more than its last. The index is -1 for a line of the
// base.
func Place(base []byte, sections []Section, line int) (section, number int) {
	line -= bytes.Count(base, []byte("\n"))
	if line <= 0 {
		return -1, 0
	}
	for i, s := range sections {
		length := strings.Count(s.Text, "\n")
		if line <= length+3 {
			return i, min(max(line-1, 1), length+1)
		}
		line -= length + 3
	}
	return -1, 0
}

// Skeleton returns a configuration without what differs from one Service to the next, the lines of prefixes: what raw configuration may depend
// on. Raw configuration has a verdict for as long as it stays the same.
func Skeleton(base []byte) []byte {
	out := make([]byte, 0, len(base))
	for line := range bytes.Lines(base) {
		if !bytes.HasPrefix(line, []byte("  network ")) {
			out = append(out, line...)
		}
	}
	return out
}

package frrdelta

import (
	"slices"
	"strings"
)

// Patch returns the text of what runs (`show running-config` of vtysh) with its
// unknown lines replaced by those of the wanted configuration. frr-reload.py,
// given that, touches nothing but those lines: all others it sees in the very
// form in which FRR prints them.
func Patch(running string, wanted *Config) string {
	var b strings.Builder
	p := newParser()
	for raw := range strings.Lines(running) {
		p.strange = false
		p.line(strings.TrimSpace(raw))
		if text := strings.TrimRight(raw, "\r\n"); !p.strange && text != "end" && !isHeading(text) {
			b.WriteString(text + "\n")
		}
	}
	var open []string
	closeTo := func(depth int) {
		for len(open) > depth {
			if strings.HasPrefix(open[len(open)-1], "address-family ") {
				b.WriteString("exit-address-family\n")
			} else {
				b.WriteString("exit\n")
			}
			open = open[:len(open)-1]
		}
	}
	for _, l := range wanted.unknown {
		common := 0
		for common < min(len(open), len(l.Context)) && open[common] == l.Context[common] {
			common++
		}
		closeTo(common)
		for _, opener := range l.Context[common:] {
			b.WriteString(opener + "\n")
			open = append(open, opener)
		}
		b.WriteString(l.Text + "\n")
		if l.opens {
			open = append(slices.Clone(l.Context), l.Text)
		}
	}
	closeTo(0)
	return b.String()
}

func isHeading(line string) bool {
	return line == "Building configuration..." || line == "Current configuration:"
}

// Loadable returns a wanted configuration in the form that frr-reload.py deals
// with best: without a default that FRR never prints and the script would set
// again each time, and with what zebra says of the kernel's forwarding, which the
// script would otherwise switch.
func Loadable(wanted, running string) string {
	var b strings.Builder
	for raw := range strings.Lines(running) {
		switch line := strings.TrimSpace(raw); line {
		case "no ip forwarding", "no ipv6 forwarding", "ip forwarding", "ipv6 forwarding":
			b.WriteString(line + "\n")
		}
	}
	for raw := range strings.Lines(wanted) {
		w := strings.Fields(raw)
		if len(w) == 4 && w[0] == "neighbor" && w[2] == "port" && w[3] == "179" {
			continue
		}
		b.WriteString(raw)
	}
	return b.String()
}

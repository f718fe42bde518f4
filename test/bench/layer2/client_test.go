package layer2

import (
	"fmt"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
)

// client asks for the address, and beside it a node for its own: what both miss is the machine's doing.
type client struct {
	asked, beside *asker.Asker
}

func (g *ground) startClient() client {
	return client{g.Ask(lab.ClientName, g.asked()), g.Ask(lab.ClientName, g.besides())}
}

// stop ends asking and returns what became of all requests.
func (c client) stop() (asked, beside asker.Answers) { return c.asked.Stop(), c.beside.Stop() }

// window is a time in which something was done.
type window struct{ begin, end time.Time }

// windows are those of handovers.
func windows(handovers []Handover) []window {
	var all []window
	for _, h := range handovers {
		all = append(all, window{h.Begin, h.End})
	}
	return all
}

// seen reports what clients saw in all windows.
func seen(what string, asked, beside asker.Answers, all []window) {
	var silences, floor bench.Samples
	var lost []int
	requests := 0
	for _, w := range all {
		in := within(asked, w.begin, w.end)
		requests += len(in)
		lost = append(lost, in.Lost())
		silences, floor = append(silences, in.Silence()), append(floor, within(beside, w.begin, w.end).Silence())
	}
	median, most := medianAndMost(lost)
	report.Cells(clientTitle, []string{"", "times", "requests", "lost: median", "most", "silence, ms: median", "most", "beside it: median", "most"},
		[]string{what, fmt.Sprint(len(all)), fmt.Sprint(requests), fmt.Sprint(median), fmt.Sprint(most),
			bench.Milliseconds(silences.Median()), bench.Milliseconds(silences.Quantile(1)), bench.Milliseconds(floor.Median()), bench.Milliseconds(floor.Quantile(1))})
}

// alone reports how often two nodes claimed the address at a time, and tells what they said.
func (g *ground) alone(what string, handovers []Handover) {
	messages, stale := g.wire.Messages(), 0
	for _, h := range handovers {
		n := h.Stale(messages)
		if n > 0 {
			say("%s: %s said %d times that it has %s after %s had said so:", what, h.From, n, h.Address, h.To)
			for _, m := range after(messages, h.Begin) {
				if m.Claims(h.Address) && m.Time.Before(h.End) {
					say("  %6.1f ms %s", float64(m.Time.Sub(h.Begin))/float64(time.Millisecond), m)
				}
			}
		}
		stale += n
	}
	report.Value(valuesTitle, fmt.Sprintf("%s: packets of the owner before, after the first of the next, in %d moves", what, len(handovers)), fmt.Sprint(stale), "0")
}

package layer2

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
)

// Handover is one time that an address went from one machine to another.
type Handover struct {
	Address netip.Addr
	// From is the machine that had it, To the one that has it now.
	From, To string
	// Begin is before the act that made it move, First when To's first packet entered the switch, End when watching it ended.
	Begin, First, End time.Time
}

// Took is the time from the act to the first packet of the new owner.
func (h Handover) Took() time.Duration { return h.First.Sub(h.Begin) }

// Stale counts what the machine before still said of the address after the new owner had said that it has it: each is a moment with two owners.
func (h Handover) Stale(messages []tap.Message) int {
	n := 0
	for _, m := range messages {
		if m.Machine == h.From && m.Claims(h.Address) && m.Time.After(h.First) && m.Time.Before(h.End) {
			n++
		}
	}
	return n
}

// within are the requests that were sent from begin to end.
func within(all asker.Answers, begin, end time.Time) asker.Answers {
	all = all.Since(begin)
	for i, a := range all {
		if a.Sent.After(end) {
			return all[:i]
		}
	}
	return all
}

// Owners are the machines that said last that they have each address, of what was said without being asked.
func Owners(messages []tap.Message) map[netip.Addr]string {
	owners := map[netip.Addr]string{}
	for _, m := range messages {
		if address, ok := m.Claim(); ok && m.Gratuitous() {
			owners[address] = m.Machine
		}
	}
	return owners
}

// Loads counts the addresses of each machine; machines that have none are missing.
func Loads(owners map[netip.Addr]string) map[string]int {
	loads := map[string]int{}
	for _, machine := range owners {
		loads[machine]++
	}
	return loads
}

// Spread is how uneven loads are over that many machines: the highest as multiple of the mean, and the highest less the lowest.
func Spread(loads map[string]int, machines int) (ratio float64, difference int) {
	sum, most, least := 0, 0, 0
	for _, n := range loads {
		if sum == 0 || n < least {
			least = n
		}
		sum, most = sum+n, max(most, n)
	}
	if sum == 0 {
		return 0, 0
	}
	if len(loads) < machines {
		least = 0
	}
	return float64(most) * float64(machines) / float64(sum), most - least
}

// HomeOf is the node that the order of MetalLB's speakers puts first for an address. It is worked out here again, so that the benchmark knows
// where to put endpoints before there is an owner, and notices when another node answers.
func HomeOf(address netip.Addr, nodes []string) string {
	var home string
	var least [sha256.Size]byte
	for _, node := range nodes {
		sum := sha256.Sum256([]byte(node + "#" + address.String()))
		if home == "" || bytes.Compare(sum[:], least[:]) < 0 {
			home, least = node, sum
		}
	}
	return home
}

// samples are the times that handovers took.
func samples(handovers []Handover) bench.Samples {
	var s bench.Samples
	for _, h := range handovers {
		s = append(s, h.Took())
	}
	return s
}

// medianAndMost are the median of counts, and the largest.
func medianAndMost(counts []int) (median, most int) {
	if len(counts) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(counts))
	return sorted[(len(sorted)-1)/2], sorted[len(sorted)-1]
}

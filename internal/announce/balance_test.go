package announce_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// crowd is a cluster with that many nodes and Services of one address each.
func crowd(nodes, services int, balanced bool) announce.Input {
	names := make([]string, nodes)
	for i := range names {
		names[i] = fmt.Sprintf("node-%d", i)
	}
	in := flat(names...)
	in.Config.L2Advertisements[0].Balanced = balanced
	for i := range services {
		in.Services = append(in.Services, one(i))
	}
	in.Ranks = &announce.Ranks{}
	return in
}

func one(i int) announce.Service {
	svc := web(fmt.Sprintf("service-%05d", i))
	svc.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
	return svc
}

// spread returns the loads of the nodes that have any, ascending, of the expected number of nodes.
func spread(owners map[string]string, nodes int) []int {
	count := map[string]int{}
	for _, node := range owners {
		count[node]++
	}
	loads := make([]int, nodes-len(count))
	for _, n := range count {
		loads = append(loads, n)
	}
	slices.Sort(loads)
	return loads
}

func moved(before, after map[string]string) (moves int) {
	for addr, node := range before {
		if now, still := after[addr]; still && now != node {
			moves++
		}
	}
	return moves
}

func TestGivenAThousandAddressesOnThreeNodesWhenPlacedByHashThenTheHighestLoadIsWithinFivePercent(t *testing.T) {
	loads := spread(owners(t, crowd(3, 1000, false)), 3)
	if top := loads[2]; top*3*100 > 1000*105 {
		t.Errorf("loads are %v", loads)
	}
}

func TestGivenAddressesWhenBalancedThenLoadsDifferByOneAtMost(t *testing.T) {
	for _, c := range []struct{ nodes, addresses int }{{5, 12}, {3, 1000}, {1, 7}, {7, 7}, {50, 333}} {
		in := crowd(c.nodes, c.addresses, true)
		before := owners(t, in)
		if loads := spread(before, c.nodes); loads[len(loads)-1]-loads[0] > 1 {
			t.Errorf("%d addresses over %d nodes: %v", c.addresses, c.nodes, loads)
		}
		if c.nodes == 1 {
			continue
		}
		for _, gone := range in.Nodes[:min(c.nodes, 7)] {
			after := owners(t, without(in, gone.Name))
			if loads := spread(after, c.nodes-1); loads[len(loads)-1]-loads[0] > 1 {
				t.Errorf("%d addresses over %d nodes without %s: %v", c.addresses, c.nodes, gone.Name, loads)
			}
			for addr, node := range before {
				if node != gone.Name && after[addr] != node {
					t.Errorf("%d addresses over %d nodes without %s: %s moved from %s to %s", c.addresses, c.nodes, gone.Name, addr, node, after[addr])
				}
			}
		}
	}
}

func TestGivenANodeThatCameBackWhenItWithholdsLessAndLessThenItGetsItsOwnBackInSteps(t *testing.T) {
	in := crowd(5, 1000, true)
	whole, before := owners(t, in), owners(t, without(in, "node-2"))
	had := spread(whole, 5)[0]
	for _, withheld := range []int{100, 75, 50, 25, 0} {
		in.Nodes[2].Withheld = withheld
		after := owners(t, in)
		back, others := 0, 0
		for addr, node := range after {
			switch {
			case node == "node-2" && whole[addr] != "node-2":
				t.Fatalf("withholding %d %%: %s, which is of %s, is at node-2", withheld, addr, whole[addr])
			case node == "node-2":
				back++
			case node != before[addr]:
				others++
			}
		}
		if want := had * (100 - withheld) / 100; back < want-25 || back > want+25 || withheld == 100 && back > 0 {
			t.Errorf("withholding %d %%: %d addresses are back, wanted about %d", withheld, back, want)
		}
		if loads := spread(after, 5); loads[4]-max(loads[0], loads[1]) > 1 {
			t.Errorf("withholding %d %%: loads of the others differ: %v", withheld, loads)
		}
		t.Logf("withholding %d %%: %d addresses are back, %d of the others moved", withheld, back, others)
		if others > 30 {
			t.Errorf("withholding %d %%: %d addresses moved between the others", withheld, others)
		}
		before = after
	}
	if moved(whole, before) != 0 {
		t.Errorf("in the end %d addresses are elsewhere than before", moved(whole, before))
	}
}

func TestGivenBalancedAddressesWhenANodeIsImpairedThenTheOthersShareItsOwnEvenlyAndItGetsTheSameBack(t *testing.T) {
	for _, c := range []struct{ nodes, addresses int }{{3, 1000}, {5, 12}, {7, 7}, {50, 333}} {
		in := crowd(c.nodes, c.addresses, true)
		before := owners(t, in)
		for _, bad := range in.Nodes[:min(c.nodes, 5)] {
			after := owners(t, impaired(in, bad.Name, "is not Ready"))
			if loads := spread(after, c.nodes); loads[0] != 0 || loads[c.nodes-1]-loads[1] > 1 {
				t.Errorf("%d addresses over %d nodes, %s impaired: %v", c.addresses, c.nodes, bad.Name, loads)
			}
			for addr, node := range before {
				if now := after[addr]; now == bad.Name || node != bad.Name && now != node {
					t.Errorf("%d addresses over %d nodes, %s impaired: %s moved from %s to %s", c.addresses, c.nodes, bad.Name, addr, node, now)
				}
			}
		}
	}
}

func TestGivenBalancedAddressesWhenTwoNodesAreImpairedThenPlacesAreAsIfTheyWereGone(t *testing.T) {
	for _, c := range []struct{ nodes, addresses int }{{3, 1000}, {5, 12}, {5, 1000}, {10, 200}} {
		in := crowd(c.nodes, c.addresses, true)
		bad := impaired(impaired(in, "node-0", "is not Ready"), "node-1", "is not Ready")
		if n := moved(owners(t, without(without(in, "node-0"), "node-1")), owners(t, bad)); n > 0 {
			t.Errorf("%d addresses over %d nodes: %d are elsewhere", c.addresses, c.nodes, n)
		}
	}
}

func TestGivenANodeThatIsFitAgainWhenItWithholdsThenItGetsItsOwnBackInSteps(t *testing.T) {
	in := crowd(3, 300, true)
	whole, back := owners(t, in), -1
	for _, withheld := range []int{100, 50, 0} {
		in.Nodes[1].Withheld = withheld
		before := back
		back = 0
		for addr, node := range owners(t, in) {
			if node == "node-1" && whole[addr] != "node-1" {
				t.Errorf("withholding %d %%: node-1 has %s, which is of %s", withheld, addr, whole[addr])
			}
			if node == "node-1" {
				back++
			}
		}
		if back <= before {
			t.Errorf("withholding %d %%: %d addresses are back, and %d before", withheld, back, before)
		}
	}
	// An impaired node is no place for what another one withholds.
	in.Nodes[1].Withheld = 100
	for _, node := range []string{"node-0", "node-2"} {
		in = impaired(in, node, "is not Ready")
	}
	if loads := spread(owners(t, in), 3); loads[2] != 300 {
		t.Errorf("loads are %v, wanted everything at the node that is not impaired", loads)
	}
}

func TestGivenOnlyNodesThatWithholdWhenPlacedThenTheyAnnounceAllTheSame(t *testing.T) {
	in := crowd(2, 10, true)
	in.Nodes[0].Withheld, in.Nodes[1].Withheld = 100, 100
	if got := owners(t, in); len(got) != 10 {
		t.Errorf("%d of 10 addresses are announced", len(got))
	}
}

// TestGivenBalancedAddressesWhenTheClusterChangesThenFewOthersMove prints and bounds what the decision page says of moves.
func TestGivenBalancedAddressesWhenTheClusterChangesThenFewOthersMove(t *testing.T) {
	for _, c := range []struct{ nodes, addresses int }{{3, 1000}, {5, 12}, {5, 1000}, {10, 200}} {
		in := crowd(c.nodes, c.addresses, true)
		before := owners(t, in)
		more, less := 0, 0
		const tries = 20
		for i := range tries {
			changed := in
			changed.Services = append(slices.Clone(in.Services), one(c.addresses+i*37))
			n := moved(before, owners(t, changed))
			changed.Services = slices.Delete(slices.Clone(in.Services), i*c.addresses/tries, i*c.addresses/tries+1)
			m := moved(before, owners(t, changed))
			if n > c.nodes || m > c.nodes {
				t.Errorf("%d addresses over %d nodes: a new address moved %d others, a deleted one %d", c.addresses, c.nodes, n, m)
			}
			more, less = more+n, less+m
		}
		first := without(in, "node-0")
		two := owners(t, first)
		after := owners(t, without(first, "node-1"))
		others := 0
		for addr, node := range two {
			if node != "node-1" && after[addr] != node {
				others++
			}
		}
		t.Logf("%d addresses over %d nodes: a new one moves %.2f others, a deleted one %.2f, a second node that leaves %d", c.addresses, c.nodes,
			float64(more)/tries, float64(less)/tries, others)
		if others*20 > c.addresses+40 {
			t.Errorf("%d addresses over %d nodes: the second node that left moved %d that it did not have", c.addresses, c.nodes, others)
		}
	}
}

package layer2

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
)

var (
	noon   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	asked  = netip.MustParseAddr("192.0.2.1")
	beside = netip.MustParseAddr("192.0.2.2")
)

func at(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// says is an announcement that nobody asked for, answers one that somebody did.
func says(ms int, machine string, address netip.Addr) tap.Message {
	return tap.Message{Time: at(ms), Machine: machine, Kind: tap.Reply, Sender: address, Target: address}
}

func answers(ms int, machine string, address netip.Addr) tap.Message {
	return tap.Message{Time: at(ms), Machine: machine, Kind: tap.Reply, Sender: address, Target: netip.MustParseAddr("192.0.2.254")}
}

func TestGivenAHandoverWhenTheOwnerBeforeStillSpeaksThenEachWordCounts(t *testing.T) {
	h := Handover{Address: asked, From: "n1", To: "n2", Begin: at(0), First: at(20), End: at(1000)}
	messages := []tap.Message{
		says(10, "n1", asked),    // it still has it
		says(20, "n2", asked),    // the first of the new owner
		answers(30, "n1", asked), // counts
		says(40, "n1", asked),    // counts
		says(50, "n1", beside),   // another address
		says(60, "n2", asked),    // the new owner again
		says(1100, "n1", asked),  // it has taken it back meanwhile
	}
	if got := h.Stale(messages); got != 2 {
		t.Errorf("%d words of the owner before count, want 2", got)
	}
	if h.Took() != 20*time.Millisecond {
		t.Errorf("it took %s, want 20ms", h.Took())
	}
}

func TestGivenRequestsWhenAWindowIsTakenThenItHasThoseSentInIt(t *testing.T) {
	var all asker.Answers
	for i := range 10 {
		a := asker.Answer{Sent: at(10 * i), Took: time.Millisecond}
		if i == 5 {
			a.Err = errors.New("nobody answered")
		}
		all = append(all, a)
	}
	got := within(all, at(20), at(70))
	if len(got) != 6 || !got[0].Sent.Equal(at(20)) || got.Lost() != 1 || got.Silence() != 20*time.Millisecond {
		t.Errorf("%s, the first at %s; want the 6 from the third on, 1 lost, 20ms", got, got[0].Sent)
	}
	if got := within(all, at(200), at(300)); len(got) != 0 {
		t.Errorf("%d requests in a window after all of them", len(got))
	}
}

func TestGivenAnnouncementsWhenOwnersAreCountedThenTheLastWordOfEachAddressDecides(t *testing.T) {
	owners := Owners([]tap.Message{says(0, "n1", asked), says(1, "n2", beside), says(2, "n3", asked), answers(3, "n1", asked)})
	if len(owners) != 2 || owners[asked] != "n3" || owners[beside] != "n2" {
		t.Errorf("owners are %v, want n3 and n2: what is asked for decides nothing", owners)
	}
	for _, c := range []struct {
		loads      map[string]int
		ratio      float64
		difference int
	}{
		{map[string]int{"n1": 4, "n2": 4, "n3": 4}, 1, 0},
		{map[string]int{"n1": 6, "n2": 2, "n3": 4}, 1.5, 4},
		{map[string]int{"n1": 6, "n2": 6}, 1.5, 6},
		{nil, 0, 0},
	} {
		if ratio, difference := Spread(c.loads, 3); ratio != c.ratio || difference != c.difference {
			t.Errorf("loads %v: %v and %d, want %v and %d", c.loads, ratio, difference, c.ratio, c.difference)
		}
	}
}

// The owners of these two were taken from the order that MetalLB's rule gives, worked out by sha256sum: printf 'n1#192.0.2.1' | sha256sum.
func TestGivenNodesThenTheHomeIsThatOfTheLowestHash(t *testing.T) {
	nodes := []string{"n1", "n2", "n3"}
	for address, want := range map[netip.Addr]string{asked: "n2", beside: "n1", netip.MustParseAddr("2001:db8::1"): "n2"} {
		if got := HomeOf(address, nodes); got != want {
			t.Errorf("%s is at home at %q, want %q", address, got, want)
		}
	}
	if got := HomeOf(asked, nil); got != "" {
		t.Errorf("without nodes the home is %q", got)
	}
}

package members

import (
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"testing"
)

// TestGivenLinksAndAPartWithheldWhenBothAreSaidAtOnceThenGossipHasBoth: two updates that overtake each other would leave the older word the last.
func TestGivenLinksAndAPartWithheldWhenBothAreSaidAtOnceThenGossipHasBoth(t *testing.T) {
	m, err := Start(t.Context(), Options{Name: "a", BindAddr: netip.AddrFrom4([4]byte{127, 0, 79, 99}), BindPort: 17946, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Leave(t.Context()) }()
	for round := range 20_000 {
		link, withheld := strconv.Itoa(round), 1+round%100
		begin := make(chan struct{})
		var speakers sync.WaitGroup
		speakers.Go(func() { <-begin; m.SetLinks([]string{link}) })
		speakers.Go(func() { <-begin; m.SetWithheld(withheld) })
		close(begin)
		speakers.Wait()
		m.mu.Lock()
		heard := m.heard["a"].meta
		m.mu.Unlock()
		if want := "1+" + strconv.Itoa(withheld) + "=" + link; heard != want {
			t.Fatalf("round %d: gossip has %q, want %q", round, heard, want)
		}
	}
}

package node

import (
	"context"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// Source is where the Loop learns what users and the cluster want. It pulls the Loop's Trigger whenever something changes that may matter.
type Source interface {
	// WaitForSync returns true once everything that exists has been seen, false when ctx ends first. Before that a View would be a part of
	// the truth, and announcing it would withdraw the rest.
	WaitForSync(ctx context.Context) bool
	// Gather returns the present state. It is called by one goroutine at a time. An error means that nothing is known: the Loop then
	// changes nothing.
	Gather(ctx context.Context) (View, error)
}

// View is the state of the cluster at one moment. What it points to is never changed afterwards.
type View struct {
	// Version differs from that of an earlier View exactly if what is announced may differ, and ConfigVersion does so for Raw and Nodes. The
	// first is 1. Services that have and had no address do not count: a Service that has just been created waits for its address, and nothing
	// is to be done until it has one. They are in Services as of the last Version.
	Version, ConfigVersion uint64
	// Raw is what users wrote.
	Raw intent.Raw
	// Nodes are sorted by name.
	Nodes []announce.NodeInfo
	// Services are sorted by key. One that is the same as in an earlier View is at the same address.
	Services []*announce.Service
}

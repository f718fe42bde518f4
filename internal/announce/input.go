// Package announce decides what one node announces: BGP routes per peer and, for layer 2, addresses per link, with a typed reason for
// everything it does not announce. It is pure: the same Input gives the same Node.
package announce

import (
	"net/netip"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Input is everything Compute looks at.
type Input struct {
	// Node is the name of the node that this speaker runs on.
	Node     string
	Config   intent.Snapshot
	Nodes    []NodeInfo
	Services []Service
	// IgnoreExcludeLabel disregards node.kubernetes.io/exclude-from-external-load-balancers (flag --ignore-exclude-lb).
	IgnoreExcludeLabel bool
	// Members are the names of the nodes whose speakers are alive as far as this one knows, in any order; nil when memberlist is off: then
	// every node counts.
	Members []string
	// Quorate is false when this speaker has lost sight of so many members that it might be the one that is cut off: then it announces
	// nothing by layer 2. It is true when memberlist is off.
	Quorate bool
	// Drain is how far this node is with giving up its BGP routes. WithdrawLast lets it withdraw even what no other node could announce.
	Drain        Drain
	WithdrawLast bool
	// Ranks is what earlier passes worked out and this one need not again; nil works too. It changes nothing but the time that Compute
	// takes, and belongs to one caller at a time.
	Ranks *Ranks
}

// NodeInfo is what matters of a Kubernetes node.
type NodeInfo struct {
	Name   string
	Labels map[string]string
	// NetworkUnavailable is the node condition of that name (rule N3).
	NetworkUnavailable bool
	// Excluded tells whether the label node.kubernetes.io/exclude-from-external-load-balancers is present, whatever its value (rule N4).
	Excluded bool
	// Impaired says why the user wants no address answered for there on layer 2 as long as another candidate is in better state, in words that
	// follow "node n1 ", such as "is not Ready"; "" is the ordinary.
	Impaired string
	// Draining says why the node is giving up its BGP routes, in words that follow "node n1 ", such as "is unschedulable"; "" is the ordinary.
	// Nobody counts on such a node to announce what another one withdraws.
	Draining string
	// DrainingSince is when that began, zero when the API does not tell. Compute does not look at it.
	DrainingSince time.Time
	// Links are the names of the node's links that can carry layer 2, as its speaker gossips them; nil when unknown: then any is assumed to
	// be there. An empty list that is not nil means none.
	Links []string
	// Withheld is how much of its balanced placement (intent.L2Advertisement.Balanced) the node leaves to the others as yet, in percent:
	// 0, the ordinary, is none; 100 is everything that somebody else can take. A speaker that came back gossips a number that falls in
	// steps, so that its addresses come back a few at a time.
	Withheld int
}

// Service is what matters of a Service of type LoadBalancer that is of this installation's class.
type Service struct {
	Key    ipam.ServiceKey
	Labels map[string]string
	// Addresses are the IP addresses in status.loadBalancer, in the order found there.
	Addresses []netip.Addr
	// Pool is the one that the addresses were given from, as the controller recorded it; "" when it did not. It counts for addresses that
	// are in no pool any more: as long as the Service has them they are announced as before.
	Pool string
	// Local is externalTrafficPolicy: Local.
	Local bool
	// SharingKey is the allow-shared-ip annotation, "" when absent.
	SharingKey string
	// Asked is what annotations ask of the routes.
	Asked Asked
	// Endpoints is where traffic can go.
	Endpoints Endpoints
}

// Endpoints summarises a Service's EndpointSlices: only endpoints that are ready or serving count (rule N1).
type Endpoints struct {
	// Serving counts the endpoints that can serve, anywhere.
	Serving int
	// OnNode counts them by node name; endpoints without a node name are only in Serving (rule N6).
	OnNode map[string]int
}

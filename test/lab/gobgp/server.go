// Package gobgp is a BGP router that answers a test's questions: which sessions are up, which paths with which attributes
// each neighbor sent, and when. The router (GoBGP) runs in a process of its own inside a network namespace (Serve); a
// test talks to it over a unix socket (Peer).
package gobgp

import (
	"context"
	"fmt"
	"net/netip"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/server"
)

// Config is a router and its neighbors.
type Config struct {
	ASN       uint32     `json:"asn"`
	RouterID  netip.Addr `json:"routerID"` // an IPv4 address
	Socket    string     `json:"socket"`   // path of the unix socket that Dial connects to
	Neighbors []Neighbor `json:"neighbors"`
}

// Neighbor is one neighbor of the router. Sessions carry IPv4 and IPv6 unicast, and may be several hops away.
type Neighbor struct {
	Address  netip.Addr `json:"address"`
	ASN      uint32     `json:"asn"`
	Password string     `json:"password,omitempty"` // "" for none (RFC 2385)
	Passive  bool       `json:"passive,omitempty"`  // waits for the neighbor to connect
	LocalASN uint32     `json:"localASN,omitempty"` // towards this neighbor; 0 for the router's own
	// GracefulRestart keeps the neighbor's paths while it restarts (RFC 4724), where it announced that it can.
	GracefulRestart bool `json:"gracefulRestart,omitempty"`
}

var (
	ipv4 = &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}
	ipv6 = &api.Family{Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST}
)

// Serve runs the router in this process until ctx ends.
func Serve(ctx context.Context, c Config) error {
	s := server.NewBgpServer(server.GrpcListenAddress("unix://" + c.Socket))
	go s.Serve() // ends with the process: GoBGP offers no way to wait for it
	if err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: c.ASN, RouterId: c.RouterID.String(), ListenPort: 179}}); err != nil {
		return fmt.Errorf("start BGP with AS %d: %w", c.ASN, err)
	}
	for _, n := range c.Neighbors {
		if err := s.AddPeer(ctx, &api.AddPeerRequest{Peer: n.peer()}); err != nil {
			return fmt.Errorf("add neighbor %s: %w", n.Address, err)
		}
	}
	<-ctx.Done()
	return s.StopBgp(context.WithoutCancel(ctx), &api.StopBgpRequest{})
}

// peer is the neighbor in GoBGP's terms. Timers are in seconds; retries are as quick as GoBGP allows.
func (n Neighbor) peer() *api.Peer {
	family := func(f *api.Family) *api.AfiSafi {
		return &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: f, Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: n.GracefulRestart}},
		}
	}
	return &api.Peer{
		Conf:            &api.PeerConf{NeighborAddress: n.Address.String(), PeerAsn: n.ASN, LocalAsn: n.LocalASN, AuthPassword: n.Password},
		EbgpMultihop:    &api.EbgpMultihop{Enabled: true, MultihopTtl: 255},
		Transport:       &api.Transport{PassiveMode: n.Passive},
		Timers:          &api.Timers{Config: &api.TimersConfig{ConnectRetry: 1, IdleHoldTimeAfterReset: 1}},
		GracefulRestart: &api.GracefulRestart{Enabled: n.GracefulRestart, RestartTime: 120, HelperOnly: n.GracefulRestart},
		AfiSafis:        []*api.AfiSafi{family(ipv4), family(ipv6)},
	}
}

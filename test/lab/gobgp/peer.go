package gobgp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Peer is a connection to a router that Serve runs.
type Peer struct {
	conn   *grpc.ClientConn
	client api.GobgpApiClient
}

// Dial connects to the router behind a unix socket and returns when it answers.
func Dial(ctx context.Context, socket string) (*Peer, error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}))
	if err != nil {
		return nil, fmt.Errorf("connect to GoBGP at %s: %w", socket, err)
	}
	p := &Peer{conn: conn, client: api.NewGobgpApiClient(conn)}
	if _, err := p.client.GetBgp(ctx, &api.GetBgpRequest{}, grpc.WaitForReady(true)); err != nil {
		return nil, errors.Join(fmt.Errorf("ask GoBGP at %s: %w", socket, err), conn.Close())
	}
	return p, nil
}

// Close ends the connection; the router runs on.
func (p *Peer) Close() error { return p.conn.Close() }

// Session is the state of the session with one neighbor.
type Session struct {
	Neighbor    netip.Addr
	ASN         uint32
	Established bool
	State       string    // as GoBGP names it: ESTABLISHED, ACTIVE, …
	Since       time.Time // when it was established, to the second; zero where it is not
	Received    uint64    // paths held of this neighbor
}

// Sessions lists the neighbors in order of address.
func (p *Peer) Sessions(ctx context.Context) ([]Session, error) {
	stream, err := p.client.ListPeer(ctx, &api.ListPeerRequest{})
	if err != nil {
		return nil, fmt.Errorf("list GoBGP's neighbors: %w", err)
	}
	var sessions []Session
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			slices.SortFunc(sessions, func(a, b Session) int { return a.Neighbor.Compare(b.Neighbor) })
			return sessions, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list GoBGP's neighbors: %w", err)
		}
		s, err := sessionOf(r.GetPeer())
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, s)
	}
}

func sessionOf(p *api.Peer) (Session, error) {
	address, err := netip.ParseAddr(p.GetConf().GetNeighborAddress())
	if err != nil {
		return Session{}, fmt.Errorf("address of GoBGP's neighbor: %w", err)
	}
	s := Session{Neighbor: address, ASN: p.GetConf().GetPeerAsn(), State: p.GetState().GetSessionState().String()}
	s.Established = p.GetState().GetSessionState() == api.PeerState_ESTABLISHED
	if up := p.GetTimers().GetState().GetUptime(); s.Established && up != nil {
		s.Since = up.AsTime()
	}
	for _, family := range p.GetAfiSafis() {
		s.Received += family.GetState().GetReceived()
	}
	return s, nil
}

// Paths lists what all neighbors have announced and not withdrawn, as they sent it (Adj-RIB-In), in order of prefix and
// neighbor.
func (p *Peer) Paths(ctx context.Context) ([]Path, error) {
	sessions, err := p.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	var paths []Path
	for _, s := range sessions {
		for _, family := range []*api.Family{ipv4, ipv6} {
			if paths, err = p.appendPaths(ctx, paths, s.Neighbor, family); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(paths, func(a, b Path) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()), a.Neighbor.Compare(b.Neighbor))
	})
	return paths, nil
}

func (p *Peer) appendPaths(ctx context.Context, paths []Path, neighbor netip.Addr, family *api.Family) ([]Path, error) {
	fail := func(err error) ([]Path, error) { return nil, fmt.Errorf("list paths from %s: %w", neighbor, err) }
	stream, err := p.client.ListPath(ctx, &api.ListPathRequest{TableType: api.TableType_ADJ_IN, Name: neighbor.String(), Family: family})
	if err != nil {
		return fail(err)
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return paths, nil
		}
		if err != nil {
			return fail(err)
		}
		for _, raw := range r.GetDestination().GetPaths() {
			path, err := decode(raw)
			if err != nil {
				return fail(err)
			}
			path.Neighbor = neighbor
			paths = append(paths, path)
		}
	}
}

// Update is one change of what a neighbor announces.
type Update struct {
	Time      time.Time // when this process read it, a fraction of a millisecond after GoBGP did
	Withdrawn bool      // then only the path's prefix and neighbor mean something
	Path      Path
}

// Watch follows what the neighbors announce and withdraw until ctx ends. GoBGP follows from the moment the sequence is
// first asked for an element or a little before; what was announced earlier is in Paths.
func (p *Peer) Watch(ctx context.Context) (iter.Seq2[Update, error], error) {
	stream, err := p.client.WatchEvent(ctx, &api.WatchEventRequest{Table: &api.WatchEventRequest_Table{
		Filters: []*api.WatchEventRequest_Table_Filter{{Type: api.WatchEventRequest_Table_Filter_ADJIN}}}})
	if err != nil {
		return nil, fmt.Errorf("follow GoBGP's neighbors: %w", err)
	}
	return func(yield func(Update, error) bool) {
		for {
			r, err := stream.Recv()
			if ended(ctx, err) {
				return
			}
			if err != nil {
				yield(Update{}, fmt.Errorf("follow GoBGP's neighbors: %w", err))
				return
			}
			now := time.Now()
			for _, raw := range r.GetTable().GetPaths() {
				path, err := decode(raw)
				if !yield(Update{Time: now, Withdrawn: raw.GetIsWithdraw(), Path: path}, err) || err != nil {
					return
				}
			}
		}
	}, nil
}

// ended says whether a stream's error means that nobody wants more of it.
func ended(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	code := status.Code(err)
	return errors.Is(err, io.EOF) || ctx.Err() != nil && (code == codes.Canceled || code == codes.DeadlineExceeded)
}

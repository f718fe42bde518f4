package product

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/test/lab"
)

// Apply applies objects given as YAML documents.
func (p *Product) Apply(ctx context.Context, yaml string) error {
	return p.kubectlWith(ctx, yaml, "apply", "--server-side", "--force-conflicts", "-f", "-")
}

// Try has the API server judge objects as Apply would, and changes nothing. While an operator is replaced, nobody is asked about edits: what is to be
// refused is tried, until it is.
func (p *Product) Try(ctx context.Context, yaml string) error {
	return p.kubectlWith(ctx, yaml, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
}

// Delete deletes objects given as YAML documents, the last first, and waits until they are gone; missing ones are no error. The order
// matters: an object that others use can't be deleted before them.
func (p *Product) Delete(ctx context.Context, yaml string) error {
	parts := strings.Split(yaml, "\n---\n")
	slices.Reverse(parts)
	return p.kubectlWith(ctx, strings.Join(parts, "\n---\n"), "delete", "--ignore-not-found", "--wait", "-f", "-")
}

func (p *Product) kubectlWith(ctx context.Context, input string, args ...string) error {
	cmd, err := p.KubectlCommand(ctx, args...)
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// SpeakerPod returns the speaker pod on a node.
func (p *Product) SpeakerPod(ctx context.Context, node string) (*corev1.Pod, error) {
	var pods corev1.PodList
	if err := p.Client.List(ctx, &pods, client.InNamespace(Namespace), client.MatchingLabels{"component": "speaker"}); err != nil {
		return nil, fmt.Errorf("list speaker pods: %w", err)
	}
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			return pod, nil
		}
	}
	return nil, fmt.Errorf("no speaker pod on node %s", node)
}

// RouterPath is one path to a prefix in the lab router's BGP table.
type RouterPath struct {
	LocalPref   uint32
	Communities []string
	NextHops    []netip.Addr
}

// RouterPaths are the lab router's valid BGP paths to exactly that prefix, none where it has none.
func (p *Product) RouterPaths(ctx context.Context, prefix netip.Prefix) ([]RouterPath, error) {
	family := "ipv4"
	if prefix.Addr().Is6() {
		family = "ipv6"
	}
	text, err := p.Vtysh(ctx, lab.RouterName, fmt.Sprintf("show bgp %s unicast %s json", family, prefix))
	if err != nil {
		return nil, err
	}
	var entry struct {
		Prefix string
		Paths  []struct {
			Valid     bool
			LocPrf    uint32
			Community struct{ List []string }
			Nexthops  []struct{ IP netip.Addr }
		}
	}
	if err := json.Unmarshal([]byte(text), &entry); err != nil {
		return nil, fmt.Errorf("read the router's answer about %s: %w: %s", prefix, err, text)
	}
	var paths []RouterPath
	for _, raw := range entry.Paths {
		if !raw.Valid || entry.Prefix != prefix.String() {
			continue
		}
		path := RouterPath{LocalPref: raw.LocPrf, Communities: raw.Community.List}
		for _, hop := range raw.Nexthops {
			path.NextHops = append(path.NextHops, hop.IP)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// RouterSession is the lab router's view of the session with one neighbor.
type RouterSession struct {
	Established bool
	// Count is how often the session was established since the router started: it grows when a session is reset.
	Count int
	// Up is for how long the session has been in its present state, in whole seconds.
	Up  time.Duration
	BFD string
}

// RouterSessions are the lab router's sessions by neighbor.
func (p *Product) RouterSessions(ctx context.Context) (map[netip.Addr]RouterSession, error) {
	text, err := p.Vtysh(ctx, lab.RouterName, "show bgp neighbors json")
	if err != nil {
		return nil, err
	}
	var neighbors map[netip.Addr]struct {
		BGPState               string
		ConnectionsEstablished int
		BGPTimerUpMsec         int64
		PeerBfdInfo            struct{ Status string }
	}
	if err := json.Unmarshal([]byte(text), &neighbors); err != nil {
		return nil, fmt.Errorf("read the router's list of neighbors: %w", err)
	}
	sessions := make(map[netip.Addr]RouterSession, len(neighbors))
	for address, n := range neighbors {
		sessions[address] = RouterSession{n.BGPState == "Established", n.ConnectionsEstablished, time.Duration(n.BGPTimerUpMsec) * time.Millisecond, n.PeerBfdInfo.Status}
	}
	return sessions, nil
}

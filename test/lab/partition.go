package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// Traffic says what a partition stops.
type Traffic string

const (
	// Gossip is what speakers tell each other: TCP and UDP on port 7946.
	Gossip Traffic = "gossip"
	// All is every frame, as between two halves of a switch.
	All Traffic = "all"
)

// gossipPort is that of the speakers, MetalLB's.
const gossipPort = 7946

// partitionTable is the nftables table with a machine's part of a partition.
const partitionTable = "lab_partition"

// Partition stops traffic between machines of different sides, silently and at once, also on connections that exist. Machines that are on no
// side, as the router, reach everybody and are reached. It replaces the partition before; Heal ends it. A node that boots meanwhile knows of none.
func (l *Lab) Partition(ctx context.Context, what Traffic, sides ...[]string) error {
	for i, side := range sides {
		others := slices.Concat(slices.Concat(sides[:i]...), slices.Concat(sides[i+1:]...))
		for _, name := range side {
			rules, err := l.partitionRules(what, others)
			if err != nil {
				return err
			}
			if err := l.nft(ctx, name, rules); err != nil {
				return err
			}
		}
	}
	return nil
}

// Heal ends a partition: everybody reaches everybody.
func (l *Lab) Heal(ctx context.Context) error {
	s, err := l.state()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range s.sorted() {
		if slices.Contains([]kind{kindControlPlane, kindNode, kindHost}, m.Kind) && m.Process.alive() {
			errs = append(errs, l.nft(ctx, m.Name, withoutPartition))
		}
	}
	return errors.Join(errs...)
}

// withoutPartition removes both tables, whether they exist or not.
const withoutPartition = "table inet " + partitionTable + " {}\ndelete table inet " + partitionTable + "\n" +
	"table netdev " + partitionTable + " {}\ndelete table netdev " + partitionTable + "\n"

// partitionRules drop what comes from the others. Each side does so, which stops both directions.
func (l *Lab) partitionRules(what Traffic, others []string) (string, error) {
	var macs, v4, v6 []string
	for _, name := range others {
		m, err := l.machine(name)
		if err != nil {
			return "", err
		}
		if !m.Process.alive() {
			return "", fmt.Errorf("partition: machine %s is off", name)
		}
		mac, err := l.segmentMAC(m)
		if err != nil {
			return "", err
		}
		macs, v4, v6 = append(macs, mac), append(v4, m.Segment.IPv4.String()), append(v6, m.Segment.IPv6.String())
	}
	if len(others) == 0 {
		return withoutPartition, nil
	}
	set := func(elements []string) string { return "{ " + strings.Join(elements, ", ") + " }" }
	if what == All {
		return withoutPartition + fmt.Sprintf("table netdev %s { chain ingress { type filter hook ingress device %s priority 0; ether saddr %s drop; }; }\n",
			partitionTable, segmentInterface, set(macs)), nil
	}
	var drops strings.Builder
	for _, from := range []string{"ip saddr " + set(v4), "ip6 saddr " + set(v6)} {
		for _, port := range []string{"sport", "dport"} {
			fmt.Fprintf(&drops, "%s meta l4proto { tcp, udp } th %s %d drop; ", from, port, gossipPort)
		}
	}
	return withoutPartition + fmt.Sprintf("table inet %s { chain input { type filter hook input priority -300; %s}; }\n", partitionTable, &drops), nil
}

func (l *Lab) nft(ctx context.Context, name, rules string) error {
	cmd, err := l.Command(ctx, name, "nft", "-f", "-")
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(rules)
	_, err = output(cmd, "set the partition of "+name)
	return err
}

// MAC is the hardware address of a machine on the nodes' segment, in the usual notation.
func (l *Lab) MAC(name string) (string, error) {
	m, err := l.machine(name)
	if err != nil {
		return "", err
	}
	return l.segmentMAC(m)
}

func (l *Lab) segmentMAC(m machine) (string, error) {
	h, err := netns.Handle(m.Netns)
	if err != nil {
		return "", err
	}
	defer h.Close()
	link, err := h.LinkByName(segmentInterface)
	if err != nil {
		return "", fmt.Errorf("find %s of %s: %w", segmentInterface, m.Name, err)
	}
	return link.Attrs().HardwareAddr.String(), nil
}

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab"
)

const (
	floorName = "floor"
	// floorHost is the last number of its address on the nodes' segment.
	floorHost = 4
)

// Floor is an FRR beside the node that is told each prefix by hand, through the socket that vtysh uses: what it needs until the router's
// kernel has a prefix is FRR's own share, which nobody who announces through FRR can go below.
type Floor struct{ bgpd net.Conn }

// AddFloor starts it and makes it ready for prefixes.
func AddFloor(ctx context.Context, l *lab.Lab, asn uint32) (*Floor, error) {
	config := lab.RouterConfig(asn, lab.SegmentAddresses(floorHost).IPv4, lab.Neighbor{Address: lab.RouterAddresses().IPv4, ASN: asn})
	if err := l.AddRouter(ctx, lab.Router{Name: floorName, Host: floorHost, Config: config}); err != nil {
		return nil, err
	}
	// bgpd has read its configuration, and can be told more, when it shows it.
	for {
		text, err := l.Vtysh(ctx, floorName, "show running-config bgpd")
		if err == nil && strings.Contains(text, "activate") {
			break
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wait for bgpd of %s: %w: %w", floorName, ctx.Err(), err)
		}
	}
	bgpd, err := FindProcess(l.Prefix(), floorName, "bgpd")
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/%d/root/run/frr/bgpd.vty", bgpd))
	if err != nil {
		return nil, fmt.Errorf("connect to bgpd of %s: %w", floorName, err)
	}
	f := &Floor{conn}
	for _, command := range []string{"enable", "configure terminal", fmt.Sprintf("router bgp %d", asn), "no bgp network import-check",
		"address-family ipv4 unicast"} {
		if err := f.command(command); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return f, nil
}

// Close ends the connection to bgpd.
func (f *Floor) Close() error { return f.bgpd.Close() }

// Announce enters the network line of a prefix.
func (f *Floor) Announce(prefix netip.Prefix) error { return f.command("network " + prefix.String()) }

// Withdraw removes the network line of a prefix.
func (f *Floor) Withdraw(prefix netip.Prefix) error {
	return f.command("no network " + prefix.String())
}

// command has bgpd carry out a line: it ends with a NUL byte, the answer with three of them and one byte that is 0 for success (FRR,
// vtysh/vtysh.c).
func (f *Floor) command(line string) error {
	if _, err := f.bgpd.Write(append([]byte(line), 0)); err != nil {
		return fmt.Errorf("tell bgpd of %s: %w", floorName, err)
	}
	var answer []byte
	for chunk := make([]byte, 4096); ; {
		n, err := f.bgpd.Read(chunk)
		answer = append(answer, chunk[:n]...)
		if end := len(answer) - 4; end >= 0 && bytes.Equal(answer[end:end+3], []byte{0, 0, 0}) {
			if status := answer[end+3]; status != 0 {
				return fmt.Errorf("bgpd of %s: %q: %s (status %d)", floorName, line, bytes.TrimSpace(answer[:end]), status)
			}
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("bgpd of %s ended the connection at %q", floorName, line)
		}
		if err != nil {
			return fmt.Errorf("read the answer of bgpd of %s: %w", floorName, err)
		}
	}
}

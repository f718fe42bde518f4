package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Subscription hears of every change of links and of their addresses.
type Subscription struct{ socket *nl.NetlinkSocket }

// Subscribe begins to listen in the network namespace of the calling thread. The caller runs the subscription, or closes it. To miss nothing,
// subscribe first and read then.
func Subscribe() (*Subscription, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("listen to changes of the links of this node: %w", err)
	}
	return &Subscription{socket: socket}, nil
}

// Close ends a subscription that is not run.
func (s *Subscription) Close() { s.socket.Close() }

// Run calls changed after every change, and closes the subscription when ctx ends. What changed is for a Read to see: the kernel may drop
// events of a burst, but then tells that it did, which is a change as well. Between changes nothing runs.
func (s *Subscription) Run(ctx context.Context, changed func()) error {
	defer s.socket.Close()
	stop := context.AfterFunc(ctx, s.socket.Close)
	defer stop()
	for {
		_, _, err := s.socket.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			return fmt.Errorf("listen to changes of the links of this node: %w", err)
		}
		changed()
	}
}

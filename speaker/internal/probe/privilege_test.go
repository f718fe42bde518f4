package probe_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// withCapabilities runs f with only these capabilities in effect. It is for a thread of its own; what the thread may have stays what it was.
func withCapabilities(f func(), capabilities ...uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		return err
	}
	less := before
	less[0].Effective, less[1].Effective = 0, 0
	for _, c := range capabilities {
		less[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &less[0]); err != nil {
		return err
	}
	f()
	return unix.Capset(&header, &before[0])
}

// docs/security.md says that the speaker has NET_RAW for this, and nothing else.
func TestGivenTheSpeakersCapabilitiesWhenAskedThenNetRawSufficesAndIsNeeded(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	s.Host("192.0.2.2/24", "2001:db8::2/64")
	taken := []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")}
	var with, without []probe.Result
	node.Do(func() error {
		return errors.Join(
			withCapabilities(func() { with = probe.Ask(t.Context(), taken) }, unix.CAP_NET_RAW),
			withCapabilities(func() { without = probe.Ask(t.Context(), taken) }))
	})
	for i := range taken {
		if with[i].State != probe.InUse {
			t.Errorf("with NET_RAW: %+v, want InUse", with[i])
		}
		if without[i].State != probe.Failed || !strings.Contains(without[i].Message, "operation not permitted") {
			t.Errorf("without: %+v, want it to fail for lack of permission", without[i])
		}
	}
}

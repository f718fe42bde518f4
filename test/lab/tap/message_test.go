package tap

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// Frames from 02:00:00:00:00:01 to everybody, or to the IPv6 group of all nodes.
const (
	toAll    = "ffffffffffff 020000000001 "
	toAll6   = "333300000001 020000000001 "
	arp      = "0806 0001 0800 06 04 "
	ipv6     = "86dd 60000000 0020 3a ff fe800000000000000000000000000001 ff020000000000000000000000000001 "
	hardware = "020000000002 "
	address4 = "c0000232 " // 192.0.2.50
	address6 = "fd000002000000000000000000000050 "
)

func TestWhatAMessageClaims(t *testing.T) {
	for name, row := range map[string]struct {
		frame      string
		claim      string // "" for none
		gratuitous bool
	}{
		"a question":                     {toAll + arp + "0001 " + hardware + "c0000201 000000000000 " + address4, "", false},
		"a probe (RFC 5227)":             {toAll + arp + "0001 " + hardware + "00000000 000000000000 " + address4, "", false},
		"an answer":                      {toAll + arp + "0002 " + hardware + address4 + "020000000009 c0000201", "192.0.2.50", false},
		"an announcement as question":    {toAll + arp + "0001 " + hardware + address4 + "000000000000 " + address4, "192.0.2.50", true},
		"an announcement as answer":      {toAll + arp + "0002 " + hardware + address4 + "ffffffffffff " + address4, "192.0.2.50", true},
		"a solicitation":                 {toAll6 + ipv6 + "87000000 00000000 " + address6 + "0101 " + hardware, "", false},
		"a solicited advertisement":      {toAll6 + ipv6 + "88000000 60000000 " + address6 + "0201 " + hardware, "fd00:2::50", false},
		"an unsolicited advertisement":   {toAll6 + ipv6 + "88000000 20000000 " + address6 + "0201 " + hardware, "fd00:2::50", true},
		"an advertisement after a nonce": {toAll6 + ipv6 + "88000000 20000000 " + address6 + "0e01000000000000 0201 " + hardware, "fd00:2::50", true},
	} {
		m, ok := parse(bytes(t, row.frame))
		if !ok {
			t.Errorf("%s: not understood", name)
			continue
		}
		claim, claims := m.Claim()
		if row.claim == "" && claims || row.claim != "" && claim != netip.MustParseAddr(row.claim) {
			t.Errorf("%s: claims %s (%v), want %q", name, claim, claims, row.claim)
		}
		if m.Gratuitous() != row.gratuitous {
			t.Errorf("%s: gratuitous %v, want %v", name, m.Gratuitous(), row.gratuitous)
		}
		if m.Hardware.String() != "02:00:00:00:00:02" || m.From.String() != "02:00:00:00:00:01" {
			t.Errorf("%s: at %s in a frame from %s", name, m.Hardware, m.From)
		}
	}
}

func TestOtherFramesAndPartsOfFramesAreNoMessages(t *testing.T) {
	whole := []string{toAll + arp + "0002 " + hardware + address4 + "ffffffffffff " + address4, toAll6 + ipv6 + "88000000 20000000 " + address6}
	for _, frame := range whole {
		for n := range bytes(t, frame) {
			if m, ok := parse(bytes(t, frame)[:n]); ok {
				t.Errorf("the first %d bytes of %q are %s", n, frame, m)
			}
		}
	}
	for name, frame := range map[string]string{
		"ARP of another kind":   toAll + arp + "0003 " + hardware + address4 + "ffffffffffff " + address4,
		"IPv4":                  toAll + "0800 " + strings.Repeat("00", 60),
		"ping6":                 toAll6 + ipv6 + "80000000 00000000 " + address6,
		"IPv6 that is not ICMP": toAll6 + strings.Replace(ipv6, "3a", "11", 1) + "88000000 20000000 " + address6,
	} {
		if m, ok := parse(bytes(t, frame)); ok {
			t.Errorf("%s is %s", name, m)
		}
	}
}

func bytes(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

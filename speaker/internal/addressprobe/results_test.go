package addressprobe

import (
	"context"
	"net/netip"
	"reflect"
	"testing"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
)

// The definition refuses texts that are no addresses, but not where an older one is installed.
func TestGivenTextsThatAreNoAddressesWhenAskedForThenOnlyTheyFail(t *testing.T) {
	var asked []netip.Addr
	ask := func(_ context.Context, addresses []netip.Addr) []probe.Result {
		asked = addresses
		results := make([]probe.Result, len(addresses))
		for i, a := range addresses {
			results[i] = probe.Result{Address: a, State: probe.Free, Link: "eth0", Message: "nobody answered on eth0"}
		}
		return results
	}
	got := resultsOf(t.Context(), []string{"nonsense", "192.0.2.1", "fe80::1%eth0", "::ffff:192.0.2.2"}, ask)
	free := func(text string) v1beta1.AddressProbeResult {
		return v1beta1.AddressProbeResult{Address: text, State: v1beta1.AddressProbeFree, Interface: "eth0", Message: "nobody answered on eth0"}
	}
	bad := func(text string) v1beta1.AddressProbeResult {
		return v1beta1.AddressProbeResult{Address: text, State: v1beta1.AddressProbeFailed,
			Message: `found "` + text + `", wanted an IP address such as 192.0.2.7 or 2001:db8::7`}
	}
	if want := []v1beta1.AddressProbeResult{bad("nonsense"), free("192.0.2.1"), bad("fe80::1%eth0"), free("::ffff:192.0.2.2")}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %+v, want %+v", got, want)
	}
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	asked = nil
	if got := resultsOf(t.Context(), []string{"nonsense"}, ask); len(got) != 1 || asked != nil {
		t.Errorf("results %+v after asking for %v, want one and nothing asked", got, asked)
	}
}

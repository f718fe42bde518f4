package frr_test

import (
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/frr"
)

func TestGivenConfigurationWhenStartedThenDaemonsRunIt(t *testing.T) {
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			i := frr.Start(t, frr.Options{Release: release, Config: "hostname n1\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\nexit\n"})
			got := i.Vtysh(t, "show running-config")
			if !strings.Contains(got, " neighbor 192.0.2.1 remote-as 64513\n") {
				t.Errorf("running configuration lacks the neighbor:\n%s", got)
			}
		})
	}
}

package frr_test

import (
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/frr"
)

func TestGivenSoundConfigurationWhenCheckedThenEveryReleaseAcceptsIt(t *testing.T) {
	frr.CheckSyntax(t, "frr defaults traditional\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\nexit\n")
}

func TestGivenWrongLineWhenCheckedThenTheErrorCarriesItsLineNumber(t *testing.T) {
	for _, release := range frr.Releases() {
		err := frr.Syntax(t.Context(), release, []byte("router bgp 64512\n neighbor 192.0.2.1 remote-as ten\nexit\n"))
		if err == nil || !strings.Contains(err.Error(), "line 2:") || !strings.Contains(err.Error(), "remote-as ten") {
			t.Errorf("%s: got %v, want FRR's words about line 2", release, err)
		}
	}
}

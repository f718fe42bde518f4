package manifests_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

func TestGivenADrainWhenBuiltThenTheSpeakerIsToldByItsFlags(t *testing.T) {
	for name, row := range map[string]struct {
		drain  *v1beta1.BGPDrain
		wanted []string
	}{
		"none":               {nil, nil},
		"nothing set inside": {&v1beta1.BGPDrain{}, nil},
		"states, in any order": {&v1beta1.BGPDrain{Nodes: []v1beta1.NodeImpairment{v1beta1.NodeUnschedulable, v1beta1.NodeDrainRequested}},
			[]string{"--bgp-drain-nodes=DrainRequested,Unschedulable"}},
		"taints": {&v1beta1.BGPDrain{Taints: []string{"example.com/b", "example.com/a"}}, []string{"--bgp-drain-taints=example.com/a,example.com/b"}},
		"wait":   {&v1beta1.BGPDrain{WaitSeconds: new(int32(90))}, []string{"--bgp-drain-wait=1m30s"}},
		"last":   {&v1beta1.BGPDrain{KeepLastAnnouncer: new(false)}, []string{"--bgp-drain-keep-last=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, speaker := speakerOf(t, v1beta1.MetalLBSpec{BGPDrain: row.drain})
			found := slices.DeleteFunc(speaker.Args, func(arg string) bool { return !strings.HasPrefix(arg, "--bgp-drain-") })
			if !slices.Equal(found, row.wanted) {
				t.Errorf("flags %q, wanted %q", found, row.wanted)
			}
		})
	}
}

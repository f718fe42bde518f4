package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

func TestGivenFlagsOfADrainWhenParsedThenTheyAreUnderstoodOrRefusedByName(t *testing.T) {
	silence(t)
	required := []string{"--node-name=n1", "--namespace=ns"}
	o, err := parse(required, env())
	if err != nil || !reflect.DeepEqual(o.DrainOn, kubeview.DrainOn{}) || o.Drain != (node.DrainOptions{Wait: 30 * time.Second}) {
		t.Errorf("by default %+v, %+v, %v", o.DrainOn, o.Drain, err)
	}
	o, err = parse(append(required, "--bgp-drain-nodes=Unschedulable,ShuttingDown", "--bgp-drain-taints=a,example.com/b,a", "--bgp-drain-wait=2m", "--bgp-drain-keep-last=false"), env())
	on := kubeview.DrainOn{States: []kubeview.Impairment{kubeview.Unschedulable, kubeview.ShuttingDown}, Taints: []string{"a", "example.com/b"}}
	if err != nil || !reflect.DeepEqual(o.DrainOn, on) || o.Drain != (node.DrainOptions{Wait: 2 * time.Minute, WithdrawLast: true}) {
		t.Errorf("options %+v, %+v, %v", o.DrainOn, o.Drain, err)
	}
	for wrong, text := range map[string]string{
		"--bgp-drain-nodes=Tired":  `--bgp-drain-nodes: "Tired"`,
		"--bgp-drain-taints=a b":   `--bgp-drain-taints: "a b"`,
		"--bgp-drain-wait=30":      `--bgp-drain-wait is "30": wanted a duration`,
		"--bgp-drain-wait=999ms":   `--bgp-drain-wait is "999ms": wanted a duration`,
		"--bgp-drain-keep-last=no": `"no"`,
	} {
		if _, err := parse(append(required, wrong), env()); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s gives %v, want %q", wrong, err, text)
		}
	}
}

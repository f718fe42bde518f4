package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

const (
	// drainWait is how long routes are the last to be chosen before they are withdrawn, where nothing is said of it.
	drainWait = 30 * time.Second
	// leastDrainWait is the least. Two nodes that begin to drain together must have heard of each other before either withdraws.
	leastDrainWait = time.Second
)

// drainFlags are how the speaker is told when and how to give up the node's BGP routes.
type drainFlags struct {
	nodes, taints, wait string
	keepLast            bool
}

func registerDrain(flags *flag.FlagSet) *drainFlags {
	d := &drainFlags{}
	flags.StringVar(&d.nodes, "bgp-drain-nodes", "", "states in which a node gives up its BGP routes in order, separated by commas: "+states())
	flags.StringVar(&d.taints, "bgp-drain-taints", "", "keys of taints with which it does so, separated by commas")
	flags.StringVar(&d.wait, "bgp-drain-wait", drainWait.String(), "how long routes are announced as the last to be chosen before they are withdrawn, at least "+leastDrainWait.String())
	flags.BoolVar(&d.keepLast, "bgp-drain-keep-last", true, "go on announcing what no other node can announce")
	return d
}

// read puts into the options what the flags say.
func (d *drainFlags) read(o *Options) error {
	var wrong []error
	var err error
	if o.DrainOn.States, err = kubeview.ParseImpairments(d.nodes); err != nil {
		wrong = append(wrong, fmt.Errorf("--bgp-drain-nodes: %w", err))
	}
	if o.DrainOn.Taints, err = kubeview.ParseTaints(d.taints); err != nil {
		wrong = append(wrong, fmt.Errorf("--bgp-drain-taints: %w", err))
	}
	if o.Drain.Wait, err = time.ParseDuration(d.wait); err != nil || o.Drain.Wait < leastDrainWait {
		wrong = append(wrong, fmt.Errorf("--bgp-drain-wait is %q: wanted a duration like 30s or 2m, at least %v", d.wait, leastDrainWait))
	}
	o.Drain.WithdrawLast = !d.keepLast
	return errors.Join(wrong...)
}

// states names the states of a node that flags may name.
func states() string {
	var names []string
	for _, i := range kubeview.Impairments() {
		names = append(names, string(i))
	}
	return strings.Join(names, ", ")
}

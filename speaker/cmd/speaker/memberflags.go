package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strconv"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

const (
	// defaultMemberPort is memberlist's own.
	defaultMemberPort = "7946"
	// defaultTuning is where MetalLB's speaker looks for settings of memberlist.
	defaultTuning = "/etc/metallb/memberlist/config.json"
)

// memberFlags are the flags of the gossip among speakers, as they are given.
type memberFlags struct {
	address, port, labels, secret, tuning, fencing *string
	wan                                            *bool
}

func registerMembers(flags *flag.FlagSet, getenv func(string) string) memberFlags {
	return memberFlags{
		address: flags.String("ml-bindaddr", getenv("METALLB_ML_BIND_ADDR"), "address to gossip with the other speakers on, empty for none (environment METALLB_ML_BIND_ADDR)"),
		port:    flags.String("ml-bindport", getenv("METALLB_ML_BIND_PORT"), "port of the gossip, UDP and TCP; empty for 7946, 0 for no gossip (environment METALLB_ML_BIND_PORT)"),
		labels:  flags.String("ml-labels", getenv("METALLB_ML_LABELS"), "labels of the pods of the speakers, empty for no gossip (environment METALLB_ML_LABELS)"),
		secret: flags.String("ml-secret-key-path", getenv("METALLB_ML_SECRET_KEY_PATH"),
			"file with the key of the gossip, or folder with the file secretkey; empty for no encryption (environment METALLB_ML_SECRET_KEY_PATH)"),
		wan:    flags.Bool("ml-wan-config", false, "gossip with the patience for far networks"),
		tuning: flags.String("ml-config", or(getenv("METALLB_ML_CONFIG"), defaultTuning), "JSON file with settings of memberlist; need not exist (environment METALLB_ML_CONFIG)"),
		fencing: flags.String("ml-fencing", or(getenv("METALLB_ML_FENCING"), "proven"),
			"when a speaker that has lost sight of others stops to claim addresses: proven, strict or off (environment METALLB_ML_FENCING)"),
	}
}

// options returns how to gossip, nil when that is off, and the labels of the pods.
func (f memberFlags) options(node string) (*members.Options, labels.Selector, error) {
	var wrong []error
	port, err := strconv.ParseUint(or(*f.port, defaultMemberPort), 10, 16)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("--ml-bindport is %q: wanted a port from 1 to 65535, or 0 for no gossip", *f.port))
	}
	var address netip.Addr
	if *f.address != "" {
		if address, err = netip.ParseAddr(*f.address); err != nil {
			wrong = append(wrong, fmt.Errorf("--ml-bindaddr is %q: wanted an IP address", *f.address))
		}
	}
	selector, err := labels.Parse(*f.labels)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("--ml-labels is %q: wanted labels like app=metallb,component=speaker: %w", *f.labels, err))
	}
	fencing, known := map[string]members.Fencing{"proven": members.FenceProven, "strict": members.FenceStrict, "off": members.FenceOff}[*f.fencing]
	if !known {
		wrong = append(wrong, fmt.Errorf("--ml-fencing is %q: wanted proven, strict or off", *f.fencing))
	}
	if len(wrong) > 0 || port == 0 || *f.address == "" || *f.labels == "" {
		return nil, nil, errors.Join(wrong...)
	}
	return &members.Options{Name: node, BindAddr: address.Unmap(), BindPort: int(port), SecretPath: *f.secret, WAN: *f.wan, TuningPath: *f.tuning, Fencing: fencing}, selector, nil
}

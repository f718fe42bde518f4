package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/serving"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// Options are what the speaker's flags and environment say. The names are those of MetalLB's speaker, so that its users' manifests work.
type Options struct {
	// Node is the name of the node, Namespace that of the configuration, Pod the name of the pod this program runs in, "" when unknown.
	Node, Namespace, Pod string
	// LogLevel is one of all, debug, info, warn, error, none; FRRLogLevel is what FRR logs, in the same words.
	LogLevel, FRRLogLevel string
	// Classes say which Services to announce.
	Classes kubeview.Classes
	// IgnoreExcludeLB announces from nodes with the label node.kubernetes.io/exclude-from-external-load-balancers, too.
	IgnoreExcludeLB bool
	// ListenPort is the TCP port on which the node's bgpd accepts sessions, 0 for none.
	ListenPort uint
	// Endpoints are what is served: metrics, probes (on 127.0.0.1, because the pod has the node's network) and profiles.
	serving.Endpoints
	// StatusWrites is how many requests a second status objects take at most.
	StatusWrites float32
	// ReloaderSocket is the unix socket of the reloader, the program that gives FRR its configuration.
	ReloaderSocket string
	// WithoutFRR says that there is no FRR beside this program, for nodes that announce on layer 2 alone.
	WithoutFRR bool
	// Members is how to gossip with the other speakers, nil when that is off: then every node counts as one whose speaker is alive.
	Members *members.Options
	// MemberLabels select the pods of the speakers in the namespace.
	MemberLabels labels.Selector
	// AnnounceInterval is the time between announcements of an address on layer 2 after those that follow its gain, 0 for none.
	AnnounceInterval time.Duration
	// ExcludedNodes say which nodes answer only for what no other node can.
	ExcludedNodes []kubeview.Impairment
	// DrainOn is when the node gives up its BGP routes in order, and Drain how.
	DrainOn kubeview.DrainOn
	Drain   node.DrainOptions
	// ExcludedPath is the file with the links that are never used on layer 2.
	ExcludedPath string
	// WithoutEffect are the flags and variables that are set but have no effect.
	WithoutEffect []string
}

// accepted is a flag of MetalLB's speaker that does nothing here, with the environment variable that sets the same, if any.
type accepted struct {
	flag, variable string
	// boolean flags need no value.
	boolean bool
}

// withoutEffect returns what is accepted so that manifests written for MetalLB work.
func withoutEffect() []accepted {
	return []accepted{
		{flag: "bgp-debounce-timeout", variable: "METALLB_BGP_DEBOUNCE_TIMEOUT"},
		{flag: "frrk8s-namespace", variable: "FRRK8S_NAMESPACE"},
		{flag: "frrk8s-secret-passthrough", boolean: true},
		{variable: "METALLB_BGP_TYPE"},
		{variable: "FRR_CONFIG_FILE"},
		{variable: "FRR_RELOADER_PID_FILE"},
	}
}

// parse reads flags and environment. Its error names everything that is wrong.
func parse(args []string, getenv func(string) string) (Options, error) {
	o := Options{StatusWrites: writesPerSecond}
	flags := flag.NewFlagSet("speaker", flag.ContinueOnError)
	flags.StringVar(&o.Node, "node-name", getenv("METALLB_NODE_NAME"), "name of the node this runs on (environment METALLB_NODE_NAME)")
	flags.StringVar(&o.Namespace, "namespace", getenv("METALLB_NAMESPACE"), "namespace of the configuration (environment METALLB_NAMESPACE)")
	flags.StringVar(&o.Pod, "pod-name", getenv("METALLB_POD_NAME"), "name of the pod this runs in, the owner of status objects (environment METALLB_POD_NAME)")
	flags.StringVar(&o.LogLevel, "log-level", "info", "how much to log: all, debug, info, warn, error or none")
	class := flags.String("lb-class", "", "load balancer classes of the Services to announce, separated by commas; empty for those without a class")
	alsoUnclassed := flags.Bool("lb-class-also-unclassed", false, "announce the Services without a class, too")
	flags.BoolVar(&o.IgnoreExcludeLB, "ignore-exclude-lb", false, "announce from nodes labeled node.kubernetes.io/exclude-from-external-load-balancers, too")
	flags.UintVar(&o.ListenPort, "bgp-listen-port", 0, "TCP port on which bgpd accepts sessions that routers open, as it was started; 0 for none")
	flags.StringVar(&o.Host, "host", getenv("METALLB_HOST"), "address to serve metrics on, empty for all (environment METALLB_HOST)")
	flags.StringVar(&o.ReloaderSocket, "reloader-socket", or(getenv("METALLB_RELOADER_SOCKET"), defaultSocket), "unix socket of the reloader (environment METALLB_RELOADER_SOCKET)")
	flags.BoolVar(&o.WithoutFRR, "without-frr", false, "there is no FRR beside this program: announce on layer 2 alone")
	interval := flags.String("l2-announce-interval", or(getenv("METALLB_L2_ANNOUNCE_INTERVAL"), "0s"),
		"time between announcements of an address on layer 2 after those that follow its gain, 0s for none (environment METALLB_L2_ANNOUNCE_INTERVAL)")
	excludedNodes := flags.String("l2-exclude-nodes", "", "nodes that answer on layer 2 only for what no other can, separated by commas: "+states())
	flags.StringVar(&o.ExcludedPath, "l2-exclude-config", defaultExcluded, "YAML file with "+excludedKey+", the links that layer 2 leaves alone; need not exist")
	drain := registerDrain(flags)
	gossip := registerMembers(flags, getenv)
	for _, a := range withoutEffect() {
		if a.flag != "" {
			flags.Var(&ignored{accepted: a, set: &o.WithoutEffect}, a.flag, "accepted for MetalLB's manifests; has no effect")
		}
		if a.variable != "" && getenv(a.variable) != "" {
			o.WithoutEffect = append(o.WithoutEffect, a.variable)
		}
	}
	o.Register(flags)
	if err := flags.Parse(args); err != nil {
		return Options{}, fmt.Errorf("read the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("read the flags: found argument %q, wanted flags only", flags.Arg(0))
	}
	var err error
	if o.Classes, err = kubeview.ParseClasses(*class, *alsoUnclassed); err != nil {
		err = fmt.Errorf("--lb-class: %w", err)
	}
	var gossipErr error
	o.Members, o.MemberLabels, gossipErr = gossip.options(o.Node)
	err = errors.Join(err, gossipErr, o.layer2(*interval, *excludedNodes), drain.read(&o))
	o.FRRLogLevel = or(getenv("FRR_LOGGING_LEVEL"), o.LogLevel)
	slices.Sort(o.WithoutEffect)
	return o, errors.Join(err, o.Validate())
}

// layer2 reads the flags of layer 2.
func (o *Options) layer2(interval, excludedNodes string) error {
	var wrong []error
	var err error
	if o.AnnounceInterval, err = time.ParseDuration(interval); err != nil || o.AnnounceInterval < 0 {
		wrong = append(wrong, fmt.Errorf("--l2-announce-interval is %q: wanted a duration like 5m or 30s, 0s for none", interval))
	}
	if o.ExcludedNodes, err = kubeview.ParseImpairments(excludedNodes); err != nil {
		wrong = append(wrong, fmt.Errorf("--l2-exclude-nodes: %w", err))
	}
	return errors.Join(wrong...)
}

// ignored takes any value and notes that it was set.
type ignored struct {
	accepted
	set *[]string
}

// String implements flag.Value.
func (*ignored) String() string { return "" }

// Set implements flag.Value.
func (i *ignored) Set(string) error {
	*i.set = append(*i.set, "--"+i.flag)
	return nil
}

// IsBoolFlag tells package flag that the flag may stand alone.
func (i *ignored) IsBoolFlag() bool { return i.boolean }

func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

// Validate returns everything that is wrong with the options.
func (o *Options) Validate() error {
	var wrong []error
	for _, name := range []struct{ flag, variable, value string }{
		{"--node-name", "METALLB_NODE_NAME", o.Node}, {"--namespace", "METALLB_NAMESPACE", o.Namespace},
	} {
		if name.value == "" {
			wrong = append(wrong, fmt.Errorf("%s is empty and %s is not set: wanted a name", name.flag, name.variable))
		}
	}
	if o.WithoutFRR && o.ListenPort != 0 {
		wrong = append(wrong, fmt.Errorf("--bgp-listen-port is %d where --without-frr is set: there is no bgpd to listen", o.ListenPort))
	}
	if o.ReloaderSocket == "" {
		wrong = append(wrong, errors.New("--reloader-socket is empty: wanted a path"))
	}
	return errors.Join(append(wrong, o.Endpoints.Validate())...)
}

// conf is what frr.conf holds besides BGP.
func (o *Options) conf() frrconf.Options {
	return frrconf.Options{Hostname: o.Node, LogLevel: frrconf.LogLevel(o.FRRLogLevel)}
}

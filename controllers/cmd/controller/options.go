package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/serving"
)

// Options are what the controller's flags and environment say. The names are those of MetalLB's controller.
type Options struct {
	// Namespace is the one that the configuration is in; PodName is the pod this program runs in, "" when unknown.
	Namespace, PodName string
	// LogLevel is one of all, debug, info, warn, error, none.
	LogLevel string
	// Classes say which Services to serve.
	Classes kubeview.Classes
	// IgnoreExcludeLB says that speakers announce from nodes with the label node.kubernetes.io/exclude-from-external-load-balancers, too. It is of
	// no effect but in words.
	IgnoreExcludeLB bool
	// ListenPort is the TCP port on which the nodes accept BGP sessions, 0 for none.
	ListenPort uint
	// Endpoints are what is served: metrics, probes and profiles.
	serving.Endpoints
}

// parse reads flags and environment. Its error names everything that is wrong.
func parse(args []string, getenv func(string) string) (Options, error) {
	var o Options
	flags := flag.NewFlagSet("controller", flag.ContinueOnError)
	flags.StringVar(&o.Namespace, "namespace", getenv("METALLB_NAMESPACE"), "namespace of the configuration (environment METALLB_NAMESPACE)")
	flags.StringVar(&o.PodName, "pod-name", getenv("METALLB_POD_NAME"), "name of the pod this runs in (environment METALLB_POD_NAME)")
	flags.StringVar(&o.LogLevel, "log-level", "info", "how much to log: all, debug, info, warn, error or none")
	class := flags.String("lb-class", "", "load balancer classes of the Services to serve, separated by commas; empty for those without a class")
	alsoUnclassed := flags.Bool("lb-class-also-unclassed", false, "serve the Services without a class, too")
	flags.BoolVar(&o.IgnoreExcludeLB, "ignore-exclude-lb", false, "what the speakers' flag of that name says, for whoever asks why a Service is not announced")
	flags.UintVar(&o.ListenPort, "bgp-listen-port", 0, "TCP port on which the nodes accept BGP sessions that routers open, 0 for none")
	o.Register(flags)
	if err := flags.Parse(args); err != nil {
		return Options{}, fmt.Errorf("reading the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("reading the flags: found argument %q, wanted flags only", flags.Arg(0))
	}
	var err error
	if o.Classes, err = kubeview.ParseClasses(*class, *alsoUnclassed); err != nil {
		err = fmt.Errorf("--lb-class: %w", err)
	}
	return o, errors.Join(err, o.Validate())
}

// Validate returns everything that is wrong with the options.
func (o *Options) Validate() error {
	var wrong []error
	if o.Namespace == "" {
		wrong = append(wrong, errors.New("--namespace is empty and METALLB_NAMESPACE is not set: wanted the namespace of the configuration"))
	}
	return errors.Join(append(wrong, o.Endpoints.Validate())...)
}

// The plugin kubectl-metallb answers questions about an installation: "kubectl metallb migrate" says what becomes of a running MetalLB when this product
// takes its place, and how to do it. It changes nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/migrate"
)

// Exit statuses.
const (
	// exitChange: a Service would lose an address.
	exitChange = 1
	// exitFailed: nothing could be found out.
	exitFailed = 2
)

func main() {
	klog.SetOutput(io.Discard) // what goes wrong is in the error
	ctrl.SetLogger(klog.Background())
	changes, err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdin, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "kubectl metallb:", err)
		os.Exit(exitFailed)
	case changes:
		os.Exit(exitChange)
	}
}

const usage = `kubectl metallb migrate [--check | --steps] [-n NAMESPACE] [--kubeconfig FILE] [--context NAME] [-f FILE]...

Says what becomes of a running MetalLB when this product takes its place: a line for each object, and with --check nothing else. --steps prints the
commands that do it. Without either it prints both. Nothing is changed. Exit status: 0 if all Services keep their addresses, 1 if one would lose an
address, 2 if that could not be found out.

`

// files is a flag that may be given several times.
type files []string

func (f *files) String() string { return fmt.Sprint(*f) }

// Set implements flag.Value.
func (f *files) Set(name string) error {
	*f = append(*f, name)
	return nil
}

// options are what the command line says.
type options struct {
	namespace, kubeconfig, context string
	files                          files
	check, steps                   bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("kubectl metallb migrate", flag.ContinueOnError)
	flags.SetOutput(os.Stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.check, "check", false, "print what becomes of everything, and not how to do it")
	flags.BoolVar(&o.steps, "steps", false, "print how to do it, and nothing else")
	flags.StringVar(&o.namespace, "namespace", "", "namespace of MetalLB; empty is where its speakers are")
	flags.StringVar(&o.namespace, "n", "", "short for --namespace")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "file with the cluster's address and credentials; empty is kubectl's")
	flags.StringVar(&o.context, "context", "", "context of the kubeconfig; empty is the current one")
	flags.Var(&o.files, "f", "file with objects in place of a cluster, as kubectl get -o yaml prints them; - is standard input; may be repeated")
	if len(args) == 0 || args[0] != "migrate" {
		flags.Usage()
		return o, errors.New("the only command is migrate")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q: only flags are taken", flags.Arg(0))
	}
	if !o.check && !o.steps {
		o.check, o.steps = true, true
	}
	return o, nil
}

// run does what args say, and tells whether a Service would lose an address.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (changes bool, err error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	w, err := world(ctx, o, in)
	if err != nil {
		return false, err
	}
	report := migrate.Check(w)
	if o.check {
		if err := report.Write(out); err != nil {
			return false, err
		}
	}
	if o.steps {
		if err := migrate.Steps(w, report, out); err != nil {
			return false, err
		}
	}
	return report.ChangesAddresses(), nil
}

func world(ctx context.Context, o options, in io.Reader) (*migrate.World, error) {
	if len(o.files) > 0 {
		objects, err := readFiles(o.files, in)
		if err != nil {
			return nil, err
		}
		return migrate.NewWorld(objects, o.namespace)
	}
	config, err := configure(o)
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	return migrate.Read(ctx, c, o.namespace)
}

func configure(o options) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

func readFiles(names []string, in io.Reader) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, name := range names {
		var text []byte
		var err error
		if name == "-" {
			text, err = io.ReadAll(in)
		} else {
			text, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		objects, err := migrate.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, objects...)
	}
	return all, nil
}

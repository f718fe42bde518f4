// Command lab brings up, looks at and takes down labs: real Kubernetes clusters on one machine (see docs/lab.md). It
// needs root and runs inside a checkout of this project: go run ./test/lab/cmd/lab help
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root(time.Now()).ExecuteContext(ctx)
	stop()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode()) // of a command that was run in the lab and has spoken for itself
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// place says which lab is meant.
type place struct {
	prefix, folder string
	say            assets.Progress
}

func (p *place) open() (*lab.Lab, error) { return lab.Open(p.folder, p.prefix, p.say) }

// root is the whole command line. Flags before a subcommand are the lab's, those after it the subcommand's.
func root(began time.Time) *cobra.Command {
	p := &place{say: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}}
	c := &cobra.Command{
		Use:              "lab",
		Short:            "Real Kubernetes clusters on one machine, in network namespaces (needs root)",
		SilenceUsage:     true,
		SilenceErrors:    true,
		TraverseChildren: true,
	}
	c.PersistentFlags().StringVar(&p.prefix, "prefix", lab.DefaultPrefix, "name of the lab; labs with different prefixes do not see each other")
	c.PersistentFlags().StringVar(&p.folder, "folder", lab.DefaultFolder, "where labs keep their state")
	c.AddCommand(prepare(p), up(p), down(p), list(p), status(p), routes(p), logs(p),
		run(p, "exec MACHINE COMMAND...", "Run a command inside a machine", 2, func(ctx context.Context, l *lab.Lab, args []string) (*exec.Cmd, error) {
			return l.Command(ctx, args[0], args[1:]...)
		}),
		run(p, "client COMMAND...", "Run a command as the client behind the router", 1, func(ctx context.Context, l *lab.Lab, args []string) (*exec.Cmd, error) {
			return l.Command(ctx, lab.ClientName, args...)
		}),
		run(p, "kubectl ARGUMENT...", "Run kubectl as the cluster's administrator", 1, func(ctx context.Context, l *lab.Lab, args []string) (*exec.Cmd, error) {
			return l.KubectlCommand(ctx, args...)
		}),
		vtysh(p), load(p),
		act(p, "poweroff MACHINE...", "Cut a machine's power; its disk stays", func(ctx context.Context, l *lab.Lab, name string) error { return l.PowerOff(ctx, name) }),
		act(p, "boot MACHINE...", "Start a machine that is off", func(ctx context.Context, l *lab.Lab, name string) error { return l.Boot(ctx, name) }),
		act(p, "cut MACHINE...", "Cut a machine's cable to the nodes' segment", func(_ context.Context, l *lab.Lab, name string) error { return l.Cut(name) }),
		act(p, "restore MACHINE...", "Mend a machine's cable", func(_ context.Context, l *lab.Lab, name string) error { return l.Restore(name) }),
		addRouter(p), configureRouter(p), addHost(p), listen(p), keepAsking(p), partition(p), heal(p), addGoBGP(p), askGoBGP(p), gobgpServer(), addBIRD(p),
		run(p, "birdc NAME COMMAND...", "Ask a BIRD router, as in \"birdc b show protocols all\"", 2, func(ctx context.Context, l *lab.Lab, args []string) (*exec.Cmd, error) {
			return l.BirdcCommand(ctx, args[0], args[1:]...)
		}))
	return c
}

func prepare(p *place) *cobra.Command {
	return &cobra.Command{Use: "prepare", Short: "Build and fetch what labs need and the cache has not", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return lab.Prepare(cmd.Context(), lab.Options{Folder: p.folder, Progress: p.say})
	}}
}

func up(p *place) *cobra.Command {
	o := lab.Options{}
	var routerConfig string
	c := &cobra.Command{Use: "up", Short: "Bring a lab up", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		o.Prefix, o.Folder, o.Progress = p.prefix, p.folder, p.say
		if routerConfig != "" {
			text, err := os.ReadFile(routerConfig)
			if err != nil {
				return fmt.Errorf("read the router's configuration: %w", err)
			}
			o.RouterConfig = string(text)
		}
		if _, err := lab.Up(cmd.Context(), o); err != nil {
			return err
		}
		fmt.Print(hints)
		return nil
	}}
	c.Flags().IntVar(&o.Nodes, "nodes", 3, "number of nodes; 0 is a control plane alone")
	c.Flags().StringVar(&o.ProxyMode, "proxy-mode", "", "kube-proxy's mode: nftables (default) or iptables")
	c.Flags().DurationVar(&o.NodeMonitorGrace, "grace", 0, "how long a silent node stays Ready (default 40s)")
	c.Flags().StringVar(&routerConfig, "router-config", "", "file with the router's frr.conf (default: every node as neighbor, AS 64512 on both sides)")
	c.Flags().BoolVar(&o.WithoutPrograms, "without-programs", false, "leave out the image of this project's own programs")
	c.Flags().StringArrayVar(&o.Images, "image", nil, "archive of a further image that every node has (repeatable)")
	c.Flags().BoolVar(&o.OLM, "olm", false, "every node has the image of the Operator Lifecycle Manager")
	c.Flags().StringArrayVar(&o.APIServerFlags, "api-flag", nil, "further flag of kube-apiserver (repeatable)")
	return c
}

const hints = `
Look around:                go run ./test/lab/cmd/lab kubectl get nodes -o wide
                            go run ./test/lab/cmd/lab vtysh router -c 'show bgp summary'
Behave as a client:         go run ./test/lab/cmd/lab client curl http://ADDRESS/
Break something:            go run ./test/lab/cmd/lab poweroff n1 | boot n1 | cut n1 | restore n1
Take it down:               go run ./test/lab/cmd/lab down
`

func down(p *place) *cobra.Command {
	return &cobra.Command{Use: "down", Short: "Take a lab down and remove all it made, whatever its state", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Down(cmd.Context(), p.folder, p.prefix, p.say)
		}}
}

func list(p *place) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List labs", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		names, err := lab.List(p.folder)
		for _, name := range names {
			fmt.Println(name)
		}
		return err
	}}
}

// run is a command that runs another one in the lab, with this one's input and output.
func run(p *place, use, short string, least int, prepare func(ctx context.Context, l *lab.Lab, args []string) (*exec.Cmd, error)) *cobra.Command {
	// Every flag belongs to the other command.
	return &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(least), DisableFlagParsing: true, RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		command, err := prepare(cmd.Context(), l, args)
		if err != nil {
			return err
		}
		command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
		return command.Run()
	}}
}

// act is a command that does one thing to each machine named.
func act(p *place, use, short string, do func(ctx context.Context, l *lab.Lab, name string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, names []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := do(cmd.Context(), l, name); err != nil {
				return err
			}
		}
		return nil
	}}
}

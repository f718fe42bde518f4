package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

func status(p *place) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show a lab's machines", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		all, err := l.Status(cmd.Context())
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "MACHINE\tKIND\tPOWER\tCABLE\tREADY\tADDRESSES\tNETNS")
		for _, s := range all {
			ready := "-"
			if s.Kind == "node" {
				ready = choose(s.Ready, "yes", "no")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Kind, choose(s.On, "on", "off"),
				choose(s.Connected, "whole", "cut"), ready, addresses(s), s.Netns)
		}
		return w.Flush()
	}}
}

func addresses(s lab.Status) string {
	var all []string
	for _, a := range []lab.Addresses{s.Segment, s.Outside} {
		if a != (lab.Addresses{}) {
			all = append(all, a.IPv4.String(), a.IPv6.String())
		}
	}
	return strings.Join(all, " ")
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

func routes(p *place) *cobra.Command {
	var watch bool
	c := &cobra.Command{Use: "routes MACHINE", Short: "Show the routes in a machine's kernel", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		events, err := l.WatchRoutes(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		all, err := l.Routes(args[0])
		if err != nil {
			return err
		}
		for _, r := range all {
			fmt.Println(line(r))
		}
		if !watch {
			return nil
		}
		for e, err := range events {
			if err != nil {
				return err
			}
			fmt.Printf("%s %s %s\n", e.Time.Format("15:04:05.000000"), choose(e.Deleted, "-", "+"), line(e.Route))
		}
		return nil
	}}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "go on with every change and its time")
	return c
}

func line(r netns.Route) string {
	var hops []string
	for _, h := range r.NextHops {
		hops = append(hops, h.String())
	}
	origin := map[int]string{netns.BGP: "bgp", 2: "kernel", 3: "boot", 4: "static"}[r.Protocol]
	return fmt.Sprintf("%s via %s (%s)", r.Prefix, choose(len(hops) > 0, strings.Join(hops, ", "), "link"), choose(origin != "", origin, fmt.Sprint(r.Protocol)))
}

func logs(p *place) *cobra.Command {
	var follow bool
	c := &cobra.Command{Use: "logs [MACHINE]", Short: "Print the logs of a machine's programs (of a pod: kubectl logs)", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		files, err := l.Logs(strings.Join(args, ""))
		if err != nil {
			return err
		}
		if follow {
			tail := exec.CommandContext(cmd.Context(), "tail", append([]string{"-n", "5", "-F", "--"}, files...)...)
			tail.Dir, tail.Stdout, tail.Stderr = l.LogDir(), os.Stdout, os.Stderr
			if err := tail.Run(); err != nil && cmd.Context().Err() == nil {
				return fmt.Errorf("follow logs: %w", err)
			}
			return nil
		}
		for _, name := range files {
			fmt.Printf("==> %s\n", filepath.Join(l.LogDir(), name))
			if err := show(filepath.Join(l.LogDir(), name)); err != nil {
				return err
			}
		}
		return nil
	}}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on as they grow")
	return c
}

func show(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(os.Stdout, f); err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	return nil
}

func vtysh(p *place) *cobra.Command {
	var commands []string
	var namespace string
	c := &cobra.Command{Use: "vtysh MACHINE [-c COMMAND]...", Short: "Talk to FRR on a router, or in the speaker pod of a node", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		name := args[0]
		isNode, err := nodeNamed(cmd, l, name)
		if err != nil {
			return err
		}
		if isNode {
			text, err := l.SpeakerVtysh(cmd.Context(), namespace, name, commands...)
			fmt.Print(text)
			return err
		}
		words := []string{"vtysh"}
		for _, command := range commands {
			words = append(words, "-c", command)
		}
		command, err := l.Command(cmd.Context(), name, words...)
		if err != nil {
			return err
		}
		command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
		return command.Run()
	}}
	c.Flags().StringArrayVarP(&commands, "command", "c", nil, "command to run (repeatable); on a router none starts a dialogue")
	c.Flags().StringVarP(&namespace, "namespace", "n", "metallb-system", "namespace of the speaker")
	return c
}

func nodeNamed(cmd *cobra.Command, l *lab.Lab, name string) (bool, error) {
	all, err := l.Status(cmd.Context())
	if err != nil {
		return false, err
	}
	for _, s := range all {
		if s.Name == name {
			return s.Kind == "node", nil
		}
	}
	return false, fmt.Errorf("lab %q has no machine %q", l.Prefix(), name)
}

func load(p *place) *cobra.Command {
	return &cobra.Command{Use: "load [ARCHIVE]...", Short: "Load images into the nodes; without an archive, this project's programs, built anew", RunE: func(cmd *cobra.Command, archives []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		began := time.Now()
		for _, archive := range archives {
			if err := l.LoadImage(cmd.Context(), archive); err != nil {
				return err
			}
		}
		if len(archives) > 0 {
			return nil
		}
		reference, err := l.LoadPrograms(cmd.Context())
		if err == nil {
			p.say("%s is on every node after %.1f s; delete the pods that should use it", reference, time.Since(began).Seconds())
		}
		return err
	}}
}

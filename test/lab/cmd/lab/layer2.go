package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
)

func addHost(p *place) *cobra.Command {
	var host int
	c := &cobra.Command{Use: "add-host NAME", Short: "Add a machine to the nodes' segment that runs nothing by itself", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		return l.AddHost(cmd.Context(), lab.Host{Name: args[0], Host: host})
	}}
	c.Flags().IntVar(&host, "host", 8, "last number of its addresses, 4 to 9 or 101 to 254")
	return c
}

func listen(p *place) *cobra.Command {
	return &cobra.Command{Use: "tap [ADDRESS]...", Short: "Print ARP and neighbor discovery on the nodes' segment, of all addresses or of some", RunE: func(cmd *cobra.Command, args []string) error {
		var wanted []netip.Addr
		for _, text := range args {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return fmt.Errorf("address to listen for: %w", err)
			}
			wanted = append(wanted, address)
		}
		l, err := p.open()
		if err != nil {
			return err
		}
		wire, err := l.Tap()
		if err != nil {
			return err
		}
		// It never has enough: every message is printed, and the wait ends with the command.
		_, err = wire.Wait(cmd.Context(), func(m tap.Message) bool {
			show := len(wanted) == 0
			for _, address := range wanted {
				show = show || m.Target == address || m.Claims(address)
			}
			if show {
				fmt.Println(m)
			}
			return false
		})
		closed := wire.Close()
		if cmd.Context().Err() != nil { // interrupted, as it is meant to be
			return closed
		}
		return err
	}}
}

func keepAsking(p *place) *cobra.Command {
	return &cobra.Command{Use: "ask MACHINE ADDRESS:PORT", Short: "Send a datagram every 10 ms until interrupted, then say what became of them", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		server, err := netip.ParseAddrPort(args[1])
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		l, err := p.open()
		if err != nil {
			return err
		}
		asking := l.Ask(args[0], server)
		<-cmd.Context().Done()
		all := asking.Stop()
		fmt.Println(all)
		for _, a := range all {
			if a.Lost() {
				fmt.Printf("%s lost: %v\n", a.Sent.Format("15:04:05.000"), a.Err)
			}
		}
		return nil
	}}
}

func partition(p *place) *cobra.Command {
	var gossip bool
	c := &cobra.Command{Use: "partition MACHINES...", Short: "Stop traffic between sides, as in \"partition n1 n2,n3\"; heal ends it", Args: cobra.MinimumNArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		var sides [][]string
		for _, side := range args {
			sides = append(sides, strings.Split(side, ","))
		}
		what := lab.All
		if gossip {
			what = lab.Gossip
		}
		return l.Partition(cmd.Context(), what, sides...)
	}}
	c.Flags().BoolVar(&gossip, "gossip", false, "only the speakers' gossip")
	return c
}

func heal(p *place) *cobra.Command {
	return &cobra.Command{Use: "heal", Short: "End a partition", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		return l.Heal(cmd.Context())
	}}
}

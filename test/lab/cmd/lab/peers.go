package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
)

func addRouter(p *place) *cobra.Command {
	var host int
	c := &cobra.Command{Use: "add-router NAME FRR_CONF", Short: "Add a router with the configuration in a file", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(args[1])
		if err != nil {
			return fmt.Errorf("read the router's configuration: %w", err)
		}
		return l.AddRouter(cmd.Context(), lab.Router{Name: args[0], Host: host, Config: string(text)})
	}}
	c.Flags().IntVar(&host, "host", 4, "last number of its addresses, 4 to 9 or 101 to 254")
	return c
}

func configureRouter(p *place) *cobra.Command {
	return &cobra.Command{Use: "configure-router NAME FRR_CONF", Short: "Replace a router's whole configuration", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(args[1])
		if err != nil {
			return fmt.Errorf("read the router's configuration: %w", err)
		}
		return l.ConfigureRouter(cmd.Context(), args[0], string(text))
	}}
}

func addGoBGP(p *place) *cobra.Command {
	var host int
	var asn, neighborASN uint32
	var neighbors []string
	c := &cobra.Command{Use: "add-gobgp NAME", Short: "Add a GoBGP peer", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		g := lab.GoBGP{Name: args[0], Host: host, ASN: asn}
		for _, text := range neighbors {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return fmt.Errorf("neighbor: %w", err)
			}
			g.Neighbors = append(g.Neighbors, gobgp.Neighbor{Address: address, ASN: neighborASN})
		}
		peer, err := l.AddGoBGP(cmd.Context(), g)
		if err != nil {
			return err
		}
		return peer.Close()
	}}
	c.Flags().IntVar(&host, "host", 200, "last number of its addresses, 4 to 9 or 101 to 254")
	c.Flags().Uint32Var(&asn, "asn", 64513, "its autonomous system")
	c.Flags().Uint32Var(&neighborASN, "neighbor-asn", 64512, "its neighbors' autonomous system")
	c.Flags().StringArrayVar(&neighbors, "neighbor", nil, "address of a neighbor (repeatable)")
	return c
}

func addBIRD(p *place) *cobra.Command {
	b := lab.BIRD{}
	var asn, neighborASN uint32
	var nodes int
	var bfd bool
	c := &cobra.Command{Use: "add-bird NAME", Short: "Add a router that runs BIRD, with the nodes as neighbors over IPv4 and IPv6", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		b.Name, b.Config.Neighbors = args[0], lab.NodeBIRDNeighbors(nodes, b.Host, asn, neighborASN)
		for i := range b.Config.Neighbors {
			b.Config.Neighbors[i].BFD = bfd
		}
		return l.AddBIRD(cmd.Context(), b)
	}}
	c.Flags().IntVar(&b.Host, "host", 201, "last number of its addresses, 4 to 9 or 101 to 254")
	c.Flags().Uint32Var(&asn, "asn", 64513, "its autonomous system")
	c.Flags().Uint32Var(&neighborASN, "neighbor-asn", 64512, "the nodes' autonomous system")
	c.Flags().IntVar(&nodes, "nodes", 1, "how many nodes are its neighbors, n1 and so on")
	c.Flags().BoolVar(&bfd, "bfd", false, "run BFD with them")
	return c
}

func askGoBGP(p *place) *cobra.Command {
	return &cobra.Command{Use: "gobgp NAME sessions|paths|watch", Short: "Ask a GoBGP peer; answers are JSON, one a line", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		l, err := p.open()
		if err != nil {
			return err
		}
		peer, err := l.GoBGP(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer peer.Close()
		return ask(cmd, peer, args[1])
	}}
}

func ask(cmd *cobra.Command, peer *gobgp.Peer, what string) error {
	out := json.NewEncoder(os.Stdout)
	switch what {
	case "sessions":
		sessions, err := peer.Sessions(cmd.Context())
		if err != nil {
			return err
		}
		return encode(out, sessions)
	case "paths":
		paths, err := peer.Paths(cmd.Context())
		if err != nil {
			return err
		}
		return encode(out, paths)
	case "watch":
		updates, err := peer.Watch(cmd.Context())
		if err != nil {
			return err
		}
		for u, err := range updates {
			if err != nil {
				return err
			}
			if err := out.Encode(u); err != nil {
				return fmt.Errorf("print update: %w", err)
			}
		}
		return nil
	}
	return fmt.Errorf("question %q: want sessions, paths or watch", what)
}

func encode[T any](out *json.Encoder, all []T) error {
	for _, one := range all {
		if err := out.Encode(one); err != nil {
			return fmt.Errorf("print answer: %w", err)
		}
	}
	return nil
}

// gobgpServer is the process of a GoBGP peer; the lab starts it itself.
func gobgpServer() *cobra.Command {
	return &cobra.Command{Use: "gobgp-server CONFIG", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return lab.GoBGPMain(cmd.Context(), args[0])
	}}
}

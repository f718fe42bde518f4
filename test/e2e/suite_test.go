// Package e2e_test drives the product as its users do, in a real cluster with a real router: three nodes, a router of AS 64512 at
// 192.168.126.3 and a GoBGP peer of AS 64513 at 192.168.126.9 that says what it was sent, which both know the first two nodes only, a client
// behind the router, and a host beside the nodes at 192.168.126.8.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// prefix is the lab's. Parts of this suite can run at once, each in a lab of its own.
var prefix = flag.String("lab", "e2e", "prefix of the lab")

const (
	clusterNodes = 3
	// nodes is how many of them, the first ones, have BGP sessions.
	nodes = 2
	// spyHost and spyASN are the GoBGP peer's.
	spyHost = 9
	spyASN  = 64513
)

var (
	cluster *product.Product
	spy     *gobgp.Peer
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "The product in a real cluster")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	say := func(format string, args ...any) { fmt.Fprintf(GinkgoWriter, format+"\n", args...) }
	down := func(ctx SpecContext) { Expect(lab.Down(ctx, "", *prefix, say)).To(Succeed()) }
	down(ctx) // what a run left that was killed
	DeferCleanup(down, NodeTimeout(2*time.Minute))
	l, err := lab.Up(ctx, lab.Options{Prefix: *prefix, Nodes: clusterNodes, RouterConfig: lab.DefaultRouterConfig(nodes), Progress: say})
	Expect(err).NotTo(HaveOccurred())
	Expect(l.AddHost(ctx, lab.Host{Name: station, Host: stationHost})).To(Succeed())
	spy, err = l.AddGoBGP(ctx, lab.GoBGP{Name: "spy", Host: spyHost, ASN: spyASN, Neighbors: lab.NodeGoBGPNeighbors(nodes, 64512)})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(spy.Close)
	cluster, err = product.In(l)
	Expect(err).NotTo(HaveOccurred())
	Expect(cluster.Install(ctx)).To(Succeed())
}, NodeTimeout(30*time.Minute))

var _ = JustAfterEach(func(ctx SpecContext) {
	if !CurrentSpecReport().Failed() {
		return
	}
	for _, look := range [][]string{
		{"get", "nodes,pods,services,endpointslices,ipaddresspools,bgppeers,bgpadvertisements,l2advertisements,servicel2statuses,configurationstates,events", "--all-namespaces", "-o", "wide"},
		{"logs", "--namespace", product.Namespace, "--selector", "app=metallb", "--all-containers", "--prefix", "--tail=60"},
	} {
		text, err := cluster.Kubectl(ctx, look...)
		AddReportEntry(fmt.Sprint("kubectl ", look), fmt.Sprint(text, err), ReportEntryVisibilityFailureOrVerbose)
	}
})

// apply applies YAML documents now and deletes them after the spec (or container) it is called from.
func apply(ctx context.Context, yaml string) {
	GinkgoHelper()
	Expect(cluster.Apply(ctx, yaml)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(cluster.Delete(ctx, yaml)).To(Succeed())
	}, NodeTimeout(time.Minute))
}

// host is the prefix of an address alone.
func host(address string) netip.Prefix {
	GinkgoHelper()
	a, err := netip.ParseAddr(address)
	Expect(err).NotTo(HaveOccurred())
	return netip.PrefixFrom(a, a.BitLen())
}

// nextHops are the addresses to which the router's kernel sends packets for prefix.
func nextHops(prefix netip.Prefix) func(Gomega) []netip.Addr {
	return func(g Gomega) []netip.Addr {
		routes, err := cluster.Routes(lab.RouterName)
		g.Expect(err).NotTo(HaveOccurred())
		for _, r := range routes {
			if r.Prefix == prefix {
				return r.NextHops
			}
		}
		return nil
	}
}

// nodes4 are the IPv4 addresses of the numbered nodes.
func nodes4(numbers ...int) []netip.Addr {
	var all []netip.Addr
	for _, i := range numbers {
		all = append(all, lab.NodeAddresses(i).IPv4)
	}
	return all
}

// sent are the paths that the GoBGP peer holds for prefix, by node.
func sent(ctx context.Context, prefix string) func(Gomega) map[string]gobgp.Path {
	return func(g Gomega) map[string]gobgp.Path {
		paths, err := spy.Paths(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		found := map[string]gobgp.Path{}
		for _, p := range paths {
			if p.Prefix.String() == prefix {
				for i := range nodes {
					if p.Neighbor == lab.NodeAddresses(i+1).IPv4 {
						found[lab.NodeName(i+1)] = p
					}
				}
			}
		}
		return found
	}
}

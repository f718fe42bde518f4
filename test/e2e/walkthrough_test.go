package e2e_test

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// get asks url from the client behind the router.
func get(url string) func(Gomega, SpecContext) string { return getFrom(lab.ClientName, url) }

var _ = Describe("The walk-through of config/samples/demo", Ordered, func() {
	key := client.ObjectKey{Namespace: "onp-metallb", Name: "echoserver"}
	var address string

	BeforeAll(func(ctx SpecContext) {
		Expect(cluster.ApplyKustomization(ctx, "config/samples/demo")).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			for _, object := range []string{"namespace/onp-metallb", "bgpadvertisement/onp-bgp-advertisement", "bgppeer/onp-bgp-peer", "ipaddresspool/onp-bgp-pool"} {
				_, err := cluster.Kubectl(ctx, "delete", "--namespace", product.Namespace, object)
				Expect(err).NotTo(HaveOccurred())
			}
		})
	})

	It("gives the Service the pool's first address", func(ctx SpecContext) {
		addresses, err := cluster.Addresses(ctx, key, 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(addresses).To(Equal([]string{"10.0.0.10"}))
		address = addresses[0]
	})

	It("announces it from both nodes with the community and preference asked for", func(ctx SpecContext) {
		Eventually(func(g Gomega) {
			paths, err := cluster.RouterPaths(ctx, host(address))
			g.Expect(err).NotTo(HaveOccurred())
			var hops []netip.Addr
			for _, p := range paths {
				g.Expect(p.LocalPref).To(BeEquivalentTo(100))
				g.Expect(p.Communities).To(Equal([]string{"noAdvertise"}), "65535:65282 by its well-known name")
				hops = append(hops, p.NextHops...)
			}
			g.Expect(hops).To(ConsistOf(nodes4(1, 2)))
		}).Should(Succeed())
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)), "both routes in the router's kernel")
	})

	It("answers a client behind the router", func(ctx SpecContext) {
		Eventually(get("http://" + address + ":8080/")).WithContext(ctx).Should(ContainSubstring("host=echoserver"))
	})

	It("leaves vtysh to whoever debugs", func(ctx SpecContext) {
		text, err := cluster.SpeakerVtysh(ctx, product.Namespace, lab.NodeName(1), "show bgp summary", "show running-config")
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(And(ContainSubstring("192.168.126.3"), ContainSubstring("network 10.0.0.10/32")))
	})
})

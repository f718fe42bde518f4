package e2e_test

import (
	"context"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
)

// What docs/decisions/l2-fencing.md promises. The node cut off is n3: of two sides, that with n1, the first name, is the larger one too.
var _ = Describe("Layer 2 in a split", Ordered, ContinueOnFailure, func() {
	// One address for each node.
	var addresses []string
	var owners map[string]string

	BeforeAll(func(ctx SpecContext) {
		apply(ctx, documents(webs(), pool("split", "192.168.126.216/29"), l2advertisement("split", ""), echoFrom("split", "split", `, metallb.io/l2-external-ips-count: "3"`, "")))
		addresses = addressesOf(ctx, "split", clusterNodes)
	})
	BeforeEach(func(ctx SpecContext) {
		owners = map[string]string{}
		for _, address := range addresses {
			owners[address] = owner(ctx, address)
		}
		Expect(owners).To(HaveLen(clusterNodes))
	})
	AfterEach(func(ctx SpecContext) {
		Expect(cluster.Heal(ctx)).To(Succeed())
		for _, address := range addresses {
			Eventually(answering(ctx, address)).WithTimeout(time.Minute).Should(Equal([]string{owners[address]}), "everybody is where it was")
		}
	})
	cutOff := func(ctx context.Context, what lab.Traffic) {
		GinkgoHelper()
		Expect(cluster.Partition(ctx, what, []string{"n3"}, []string{"n1", "n2"})).To(Succeed())
	}
	// of is the address whose owner is the given node while all is well.
	of := func(node string) string {
		for address, name := range owners {
			if name == node {
				return address
			}
		}
		return ""
	}

	It("without gossip, but with the API server, only the larger side goes on", func(ctx SpecContext) {
		wire := listening()
		began := time.Now()
		cutOff(ctx, lab.Gossip)
		takeOver(ctx, wire, of("n3"), "n3", began)
		By("waiting for proof that the larger side lives: two renewals of its nodes' Leases")
		for _, address := range addresses {
			Eventually(answering(ctx, address)).WithTimeout(time.Minute).Should(And(HaveLen(1), Not(ContainElement("n3"))))
		}
		Eventually(told(ctx, "split")).Should(Equal([]string{"n1", "n2"}))
		AddReportEntry("two owners", lastOf(wire, "n3", addresses).Sub(began).Round(time.Millisecond).String())
	})

	It("a node whose cable is cut is replaced, and takes its address back when it is mended", func(ctx SpecContext) {
		wire := listening()
		began := time.Now()
		Expect(cluster.Cut("n3")).To(Succeed())
		DeferCleanup(func() { Expect(cluster.Restore("n3")).To(Succeed()) })
		takeOver(ctx, wire, of("n3"), "n3", began)
		Eventually(answering(ctx, of("n3"))).Should(And(HaveLen(1), Not(ContainElement("n3"))))
		Expect(cluster.Restore("n3")).To(Succeed())
		Eventually(answering(ctx, of("n3"))).Should(Equal([]string{"n3"}))
	})

	It("without gossip and API server nobody stops, and healing ends it", func(ctx SpecContext) {
		wire := listening()
		withoutAPI(ctx, func() {
			began := time.Now()
			cutOff(ctx, lab.Gossip)
			takeOver(ctx, wire, of("n3"), "n3", began)
			takeOver(ctx, wire, of("n1"), "n1", began)
			for _, address := range addresses {
				Eventually(answering(ctx, address)).Should(And(HaveLen(2), ContainElement("n3")))
			}
			Expect(cluster.Heal(ctx)).To(Succeed())
			for _, address := range addresses {
				Eventually(answering(ctx, address)).Should(Equal([]string{owners[address]}))
			}
		})
	})
})

// lastOf is when a machine claimed any of the addresses for the last time.
func lastOf(wire *tap.Tap, machine string, addresses []string) time.Time {
	var last time.Time
	for _, m := range wire.Messages() {
		for _, address := range addresses {
			if m.Machine == machine && m.Claims(netip.MustParseAddr(address)) {
				last = m.Time
			}
		}
	}
	return last
}

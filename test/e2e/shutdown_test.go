package e2e_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// deleteSpeaker deletes the speaker's pod of a node, calls with its name while it ends, and returns when the next one is ready and all sessions are
// up.
func deleteSpeaker(ctx context.Context, node string, meanwhile func(pod string)) {
	GinkgoHelper()
	before, err := cluster.SpeakerPod(ctx, node)
	Expect(err).NotTo(HaveOccurred())
	kubectl(ctx, "delete", "pod", before.Name, "--namespace", product.Namespace, "--wait=false")
	meanwhile(before.Name)
	Eventually(func(g Gomega) {
		pod, err := cluster.SpeakerPod(ctx, node)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pod.UID).NotTo(Equal(before.UID))
		g.Expect(pod.Status.ContainerStatuses).To(And(Not(BeEmpty()), HaveEach(HaveField("Ready", true))))
	}).WithContext(ctx).WithTimeout(2 * time.Minute).Should(Succeed())
	established(ctx)
}

// changesWhile are the next hops that the router's kernel had for a prefix, one after the other, while act ran; none for a route that was
// taken away.
func changesWhile(ctx context.Context, prefix netip.Prefix, act func()) [][]netip.Addr {
	GinkgoHelper()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := cluster.WatchRoutes(watching, lab.RouterName)
	Expect(err).NotTo(HaveOccurred())
	all := make(chan [][]netip.Addr, 1)
	go func() {
		defer GinkgoRecover()
		var seen [][]netip.Addr
		for event, err := range events {
			Expect(err).NotTo(HaveOccurred())
			switch {
			case event.Route.Prefix != prefix || event.Route.Protocol != netns.BGP:
			case event.Deleted:
				seen = append(seen, nil)
			default:
				seen = append(seen, event.Route.NextHops)
			}
		}
		all <- seen
	}()
	act()
	stop()
	return <-all
}

// yieldOf returns a function that says whether the GoBGP peer has heard from a neighbor, from now on, that its route for a prefix is one to be chosen
// last. That lasts for seconds only: whoever asks from time to time what the route is now may come too late.
func yieldOf(ctx context.Context, neighbor netip.Addr, prefix netip.Prefix) func() bool {
	GinkgoHelper()
	watching, stop := context.WithCancel(ctx)
	DeferCleanup(stop)
	updates, err := spy.Watch(watching)
	Expect(err).NotTo(HaveOccurred())
	var heard atomic.Bool
	go func() {
		defer GinkgoRecover()
		for u, err := range updates {
			Expect(err).NotTo(HaveOccurred())
			if u.Path.Neighbor == neighbor && u.Path.Prefix == prefix && (slices.Contains(u.Path.Communities, "65535:0") || slices.Contains(u.Path.Communities, "graceful-shutdown")) {
				heard.Store(true)
			}
		}
	}()
	return heard.Load
}

// shutdownSetting gives the MetalLB object a spec.bgpShutdown, "null" for none, and returns when every speaker has it and all sessions are up.
func shutdownSetting(ctx context.Context, setting, flag string) {
	GinkgoHelper()
	kubectl(ctx, "patch", "metallb", "metallb", "--namespace", product.Namespace, "--type=merge", "--patch", `{"spec":{"bgpShutdown":`+setting+`}}`)
	Eventually(func(g Gomega) {
		for i := range clusterNodes {
			pod, err := cluster.SpeakerPod(ctx, lab.NodeName(i+1))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(pod.DeletionTimestamp).To(BeNil())
			g.Expect(pod.Spec.Containers).To(ContainElement(And(HaveField("Lifecycle", Not(BeNil())), HaveField("Lifecycle.PreStop.Exec.Command", ContainElement(flag)))))
			g.Expect(pod.Status.ContainerStatuses).To(And(Not(BeEmpty()), HaveEach(HaveField("Ready", true))))
		}
	}).WithContext(ctx).WithTimeout(4 * time.Minute).Should(Succeed())
	Expect(cluster.WaitAvailable(ctx)).To(Succeed())
	established(ctx)
}

var _ = Describe("A speaker's pod that is deleted", Ordered, func() {
	const address = "203.0.113.192"

	BeforeAll(func(ctx SpecContext) {
		apply(ctx, documents(web("n1"), web("n2"), pool("leaving", "203.0.113.192/28"), advertisement("leaving", "leaving", ""), echo("leaving", "")))
	})

	It("lets the traffic move first, closes its sessions then, and loses nothing", func(ctx SpecContext) {
		apply(ctx, peering)
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		Eventually(sent(ctx, address+"/32")).WithTimeout(time.Minute).Should(HaveLen(nodes), "the sessions with the GoBGP peer open when they like, too")
		a := fromClient(ctx, address)
		yields := yieldOf(ctx, lab.NodeAddresses(1).IPv4, host(address))
		seen := changesWhile(ctx, host(address), func() {
			deleteSpeaker(ctx, "n1", func(pod string) {
				By("yielding")
				Eventually(func() (string, error) {
					return cluster.Kubectl(ctx, "logs", pod, "--namespace", product.Namespace, "--container", "frr")
				}).Should(ContainSubstring(`"event":"yielding"`), "the container's log tells what is done")
				Eventually(yields).Should(BeTrue(), "n1's route at the GoBGP peer has the community")
				Eventually(nextHops(host(address))).Should(Equal(nodes4(2)), "the router prefers whoever does not yield")
				By("closing")
				Eventually(sent(ctx, address+"/32")).Should(And(HaveLen(1), HaveKey("n2")))
				text, err := cluster.Vtysh(ctx, lab.RouterName, "show bgp neighbors "+lab.NodeAddresses(1).IPv4.String())
				Expect(err).NotTo(HaveOccurred())
				Expect(text).To(ContainSubstring("Administrative Shutdown"))
			})
			Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		})
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(seen).To(And(ContainElement(Equal(nodes4(2))), ContainElement(Equal(nodes4(1, 2))), Not(ContainElement(BeEmpty()))), "the route stays, by the other node")
		Expect(all.Lost()).To(BeZero(), all.String())
	}, SpecTimeout(6*time.Minute))

	It("in a rolling update, of which bgpShutdown is one, loses nothing", func(ctx SpecContext) {
		apply(ctx, peering)
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		DeferCleanup(func(ctx SpecContext) { shutdownSetting(ctx, "null", "--wait=5s") }, NodeTimeout(5*time.Minute))
		a := fromClient(ctx, address)
		seen := changesWhile(ctx, host(address), func() { shutdownSetting(ctx, `{"waitSeconds":7}`, "--wait=7s") })
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(seen).To(And(ContainElement(Equal(nodes4(1))), ContainElement(Equal(nodes4(2))), Not(ContainElement(BeEmpty()))), "one after the other")
		Expect(all.Lost()).To(BeZero(), all.String())
	}, SpecTimeout(8*time.Minute))

	It("with graceful restart changes nothing at the router", func(ctx SpecContext) {
		apply(ctx, restarting())
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		established(ctx)
		a := fromClient(ctx, address)
		seen := changesWhile(ctx, host(address), func() {
			deleteSpeaker(ctx, "n1", func(string) {})
			Consistently(nextHops(host(address)), "3s").Should(Equal(nodes4(1, 2)), "also when the router gives up what it only kept")
		})
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(otherHops(seen)).To(BeEmpty(), "the route and its next hops stay")
		Expect(all.Lost()).To(BeZero(), all.String())
	}, SpecTimeout(6*time.Minute))
})

package e2e_test

import (
	"context"
	"net/netip"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// kubectl runs kubectl and fails the spec where that fails.
func kubectl(ctx context.Context, args ...string) {
	GinkgoHelper()
	_, err := cluster.Kubectl(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
}

// drainSetting gives the MetalLB object a spec.bgpDrain, "null" for none, and returns when every speaker has it.
func drainSetting(ctx context.Context, setting string) {
	GinkgoHelper()
	kubectl(ctx, "patch", "metallb", "metallb", "--namespace", product.Namespace, "--type=merge", "--patch", `{"spec":{"bgpDrain":`+setting+`}}`)
	Eventually(func(g Gomega) {
		for i := range clusterNodes {
			pod, err := cluster.SpeakerPod(ctx, lab.NodeName(i+1))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(slices.Contains(pod.Spec.Containers[0].Args, "--bgp-drain-nodes=Unschedulable")).To(Equal(setting != "null"))
			g.Expect(pod.Status.ContainerStatuses).To(HaveEach(HaveField("Ready", true)))
		}
	}).WithContext(ctx).WithTimeout(4 * time.Minute).Should(Succeed())
	Expect(cluster.WaitAvailable(ctx)).To(Succeed())
	established(ctx)
}

// drained is the reason of the condition Drained of a node's speaker, "" while there is none.
func drained(ctx context.Context, node string) func(Gomega) string {
	return func(g Gomega) string {
		var state v1beta1.ConfigurationState
		g.Expect(cluster.Client.Get(ctx, inNamespace("speaker-"+node), &state)).To(Succeed())
		c := meta.FindStatusCondition(state.Status.Conditions, v1beta1.ConditionDrained)
		if c == nil {
			return ""
		}
		return c.Reason
	}
}

// fromClient asks an address from behind the router, every 10 ms, until the account is asked for.
func fromClient(ctx context.Context, address string) *asker.Asker {
	GinkgoHelper()
	Eventually(get("http://" + address + "/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
	a := cluster.Ask(lab.ClientName, netip.AddrPortFrom(netip.MustParseAddr(address), 80))
	DeferCleanup(func() { a.Stop() })
	Eventually(func() int { return len(a.Answers()) }).WithContext(ctx).Should(BeNumerically(">", 50))
	return a
}

var _ = Describe("A drain", Ordered, func() {
	const address = "203.0.113.160"

	BeforeAll(func(ctx SpecContext) {
		apply(ctx, documents(peering, web("n1"), web("n2"), pool("moving", "203.0.113.160/28"), advertisement("moving", "moving", ""), echo("moving", "")))
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
	})

	It("does not happen by itself: a cordon takes no route away", func(ctx SpecContext) {
		kubectl(ctx, "cordon", "n1")
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "uncordon", "n1") })
		Consistently(nextHops(host(address)), "2s").Should(Equal(nodes4(1, 2)))
	})

	It("by cordon moves the traffic first, withdraws then, resets no session and loses nothing", func(ctx SpecContext) {
		drainSetting(ctx, `{"nodes":["Unschedulable"],"waitSeconds":5}`)
		DeferCleanup(func(ctx SpecContext) { drainSetting(ctx, "null") }, NodeTimeout(5*time.Minute))
		apply(ctx, documents(pool("pinned", "203.0.113.176/28"), advertisement("pinned", "pinned", ""), service("pinned", "pinned", ", externalTrafficPolicy: Local"),
			`
apiVersion: v1
kind: Service
metadata: {name: here, namespace: default, annotations: {metallb.io/address-pool: pinned}}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web, only: n1}, ports: [{port: 80, targetPort: 8080}]}
`))
		kubectl(ctx, "label", "pod", "web-n1", "only=n1")
		here := addressesOf(ctx, "here", 1)[0]
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
		Eventually(nextHops(host(here))).Should(Equal(nodes4(1)))
		before := established(ctx)
		a := fromClient(ctx, address)

		kubectl(ctx, "cordon", "n1")
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "uncordon", "n1") })
		By("yielding")
		Eventually(sent(ctx, address+"/32")).Should(HaveKeyWithValue("n1", HaveField("Communities", ContainElement(Or(Equal("65535:0"), Equal("graceful-shutdown"))))))
		Eventually(nextHops(host(address))).Should(Equal(nodes4(2)), "the router prefers whoever does not yield")
		By("withdrawing")
		Eventually(sent(ctx, address+"/32")).WithTimeout(time.Minute).Should(And(HaveLen(1), HaveKey("n2")))
		Eventually(drained(ctx, "n1")).WithContext(ctx).Should(Equal(v1beta1.ReasonLastAnnouncer))
		Expect(nextHops(host(here))(Default)).To(Equal(nodes4(1)), "nobody else can announce it")
		Expect(cluster.Delete(ctx, `{apiVersion: v1, kind: Service, metadata: {name: here, namespace: default}}`)).To(Succeed())
		Eventually(drained(ctx, "n1")).WithContext(ctx).Should(Equal(v1beta1.ReasonDrained))
		By("returning")
		kubectl(ctx, "uncordon", "n1")
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
		Eventually(sent(ctx, address+"/32")).Should(And(HaveLen(nodes), HaveEach(HaveField("Communities", BeEmpty()))))
		Eventually(drained(ctx, "n1")).WithContext(ctx).Should(Equal(v1beta1.ReasonNotDraining))

		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(all.Lost()).To(BeZero(), all.String())
		Expect(established(ctx)).To(Equal(before), "no session was reset")
	}, SpecTimeout(12*time.Minute))
})

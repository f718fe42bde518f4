package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// annotated is a Service like service's, with further annotations in YAML's flow style.
func annotated(name, pool, annotations string) string {
	return strings.Replace(service(name, pool, ""), "annotations: {", "annotations: {"+annotations+", ", 1)
}

// poolWith is an IPAddressPool with more of a spec, in YAML's flow style, after a comma.
func poolWith(name, more string, addresses ...string) string {
	return strings.Replace(pool(name, addresses...), "]}", "]"+more+"}", 1)
}

// ips are the addresses that a Service shows.
func ips(name string) func(Gomega, SpecContext) []string {
	return func(g Gomega, ctx SpecContext) []string {
		var svc corev1.Service
		g.Expect(cluster.Client.Get(ctx, named(name), &svc)).To(Succeed())
		found := []string{}
		for _, ingress := range svc.Status.LoadBalancer.Ingress {
			found = append(found, ingress.IP)
		}
		return found
	}
}

// allocated is reason and message of the condition that says whether a Service has its addresses.
func allocated(name string) func(Gomega, SpecContext) string {
	return func(g Gomega, ctx SpecContext) string {
		var svc corev1.Service
		g.Expect(cluster.Client.Get(ctx, named(name), &svc)).To(Succeed())
		c := meta.FindStatusCondition(svc.Status.Conditions, "metallb.io/Allocated")
		g.Expect(c).NotTo(BeNil())
		return fmt.Sprintf("%s=%s: %s", c.Reason, c.Status, c.Message)
	}
}

// events are the messages of the events of one reason about a Service.
func events(name, reason string) func(Gomega, SpecContext) []string {
	return func(g Gomega, ctx SpecContext) []string {
		text, err := cluster.Kubectl(ctx, "get", "events.events.k8s.io", "--all-namespaces", "--field-selector",
			fmt.Sprintf("regarding.kind=Service,regarding.name=%s,reason=%s", name, reason), "-o", `jsonpath={range .items[*]}{.note}{"\n"}{end}`)
		g.Expect(err).NotTo(HaveOccurred())
		return strings.Fields(strings.ReplaceAll(text, " ", "_"))
	}
}

var _ = Describe("Addresses", Ordered, ContinueOnFailure, func() {
	BeforeAll(func(ctx SpecContext) { apply(ctx, documents(peering, web("n1"), web("n2"))) })

	It("several of one Service are all announced", func(ctx SpecContext) {
		apply(ctx, documents(pool("several", "198.18.0.0/29"), advertisement("several", "several", ""),
			annotated("several", "several", `metallb.io/l2-external-ips-count: "3"`)))
		Eventually(ips("several")).WithContext(ctx).Should(Equal([]string{"198.18.0.0", "198.18.0.1", "198.18.0.2"}))
		for _, address := range []string{"198.18.0.0", "198.18.0.1", "198.18.0.2"} {
			Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
			Eventually(get("http://" + address + "/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
		}
		By("asking for two only")
		Expect(cluster.Apply(ctx, annotated("several", "several", `metallb.io/l2-external-ips-count: "2"`))).To(Succeed())
		Eventually(ips("several")).WithContext(ctx).Should(Equal([]string{"198.18.0.0", "198.18.0.1"}))
		Eventually(nextHops(host("198.18.0.2"))).Should(BeEmpty())
	})

	It("that live are not taken away by an edit of their pool, unless the user says so", func(ctx SpecContext) {
		const before, after = "198.18.0.16", "198.18.0.32"
		apply(ctx, documents(pool("edited", before+"/30"), advertisement("edited", "edited", ""), service("edited", "edited", "")))
		Eventually(nextHops(host(before))).Should(Equal(nodes4(1, 2)))

		By("being refused with the Services that would be hit")
		Eventually(func(ctx context.Context) error {
			var p v1beta1.IPAddressPool
			if err := cluster.Client.Get(ctx, inNamespace("edited"), &p); err != nil {
				return err
			}
			p.Spec.Addresses = []string{after + "/30"}
			return cluster.Client.Update(ctx, &p, client.DryRunAll)
		}).WithContext(ctx).WithTimeout(time.Minute).Should(MatchError(ContainSubstring("default/edited")), "who guards may be on the way back from what was done to it before")
		err := cluster.Apply(ctx, pool("edited", after+"/30"))
		Expect(err).To(MatchError(And(ContainSubstring("default/edited"), ContainSubstring(before), ContainSubstring("metallb.io/allow-disruption"))))
		_, err = cluster.Kubectl(ctx, "delete", "ipaddresspool", "edited", "--namespace", product.Namespace)
		Expect(err).To(MatchError(ContainSubstring("default/edited")))

		By("saying so")
		var p v1beta1.IPAddressPool
		Expect(cluster.Client.Get(ctx, inNamespace("edited"), &p)).To(Succeed())
		edited := strings.Replace(pool("edited", after+"/30"), "namespace: metallb-system",
			fmt.Sprintf(`namespace: metallb-system, annotations: {metallb.io/allow-disruption: "%d"}`, p.Generation), 1)
		Expect(cluster.Apply(ctx, edited)).To(Succeed())
		Eventually(ips("edited")).WithContext(ctx).Should(Equal([]string{after}))
		Eventually(nextHops(host(after))).Should(Equal(nodes4(1, 2)))
		Eventually(nextHops(host(before))).Should(BeEmpty())

		By("being refused again the next time")
		Expect(cluster.Apply(ctx, strings.Replace(edited, after, before, 1))).To(MatchError(ContainSubstring("default/edited")))
	})

	It("stay when nobody guards them: without admission, with the pool gone, and through a killed controller", func(ctx SpecContext) {
		const address = "198.18.0.48"
		bare := pool("bare", address+"/30")
		apply(ctx, documents(bare, advertisement("bare", "bare", ""), service("bare", "bare", "")))
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
		lost := lossesWhile(ctx, func() {
			withoutOperator(ctx, func() {
				_, err := cluster.Kubectl(ctx, "delete", "ipaddresspool", "bare", "--namespace", product.Namespace)
				Expect(err).NotTo(HaveOccurred(), "a webhook that is down must not be in the way")
				Eventually(allocated("bare")).WithContext(ctx).Should(HavePrefix("PoolMismatch=True"))
				Expect(cluster.Apply(ctx, documents(pool("meanwhile", "198.18.0.56/30"), service("meanwhile", "meanwhile", "")))).To(Succeed())
				DeferCleanup(func(ctx SpecContext) {
					Expect(cluster.Delete(ctx, documents(pool("meanwhile", "198.18.0.56/30"), service("meanwhile", "meanwhile", "")))).To(Succeed())
				})
				Eventually(ips("meanwhile")).WithContext(ctx).Should(Equal([]string{"198.18.0.56"}))
			})
			killController(ctx)
			Consistently(ips("bare")).WithContext(ctx).WithTimeout(3 * time.Second).Should(Equal([]string{address}))
		})
		Expect(lost).To(BeEmpty(), "the address is announced throughout")
		Expect(cluster.Apply(ctx, bare)).To(Succeed())
		Eventually(allocated("bare")).WithContext(ctx).Should(HavePrefix("Allocated=True"))
	})

	It("are kept for those they are reserved for, before and after", func(ctx SpecContext) {
		apply(ctx, documents(pool("reserved", "198.18.0.64/31"), advertisement("reserved", "reserved", ""), `
apiVersion: metallb.io/v1beta1
kind: IPReservation
metadata: {name: heir, namespace: metallb-system}
spec: {namespace: default, serviceName: heir, addresses: [198.18.0.64], retainAfterDelete: Forever}
`))
		var r v1beta1.IPReservation
		Eventually(func(g Gomega) {
			g.Expect(cluster.Client.Get(ctx, inNamespace("heir"), &r)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(r.Status.Conditions, v1beta1.ConditionReserved)).To(BeTrue())
		}).Should(Succeed())
		apply(ctx, service("stranger", "reserved", ""))
		Eventually(ips("stranger")).WithContext(ctx).Should(Equal([]string{"198.18.0.65"}))
		apply(ctx, annotated("greedy", "reserved", "metallb.io/loadBalancerIPs: 198.18.0.64"))
		Eventually(allocated("greedy")).WithContext(ctx).Should(And(HavePrefix("AddressReserved=False"), ContainSubstring("heir")))

		for range 2 {
			Expect(cluster.Apply(ctx, service("heir", "reserved", ""))).To(Succeed())
			Eventually(ips("heir")).WithContext(ctx).Should(Equal([]string{"198.18.0.64"}))
			Eventually(func(g Gomega) []string {
				g.Expect(cluster.Client.Get(ctx, inNamespace("heir"), &r)).To(Succeed())
				return r.Status.Services
			}).Should(ConsistOf("heir"))
			Expect(cluster.Delete(ctx, service("heir", "reserved", ""))).To(Succeed())
			Consistently(ips("greedy")).WithContext(ctx).WithTimeout(time.Second).Should(BeEmpty())
		}
	})

	It("are fenced by strict pools and limited by quotas", func(ctx SpecContext) {
		apply(ctx, documents(poolWith("fenced", `, serviceAllocation: {namespaces: [default], strict: true}`, "198.18.0.80/30"), pool("others", "198.18.0.96/30"), `
apiVersion: metallb.io/v1beta1
kind: AddressQuota
metadata: {name: two, namespace: metallb-system}
spec: {namespaces: [default], pools: [fenced], ipv4: 2}
`))
		apply(ctx, service("outside", "others", ""))
		Eventually(allocated("outside")).WithContext(ctx).Should(And(HavePrefix("PoolFenced=False"), ContainSubstring("fenced")))
		apply(ctx, documents(service("first", "fenced", ""), service("second", "fenced", "")))
		Eventually(ips("first")).WithContext(ctx).Should(HaveLen(1))
		Eventually(ips("second")).WithContext(ctx).Should(HaveLen(1))
		apply(ctx, service("third", "fenced", ""))
		Eventually(allocated("third")).WithContext(ctx).Should(And(HavePrefix("QuotaExceeded=False"), ContainSubstring("2 of 2")))
		Expect(cluster.Delete(ctx, service("first", "fenced", ""))).To(Succeed())
		Eventually(ips("third")).WithContext(ctx).Should(HaveLen(1), "what becomes free is given on")
	})

	It("that somebody has already are not given away, and the next ones are", func(ctx SpecContext) {
		_, err := cluster.Exec(ctx, lab.RouterName, "ip", "address", "add", "192.168.126.200/24", "dev", "eth0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) {
			_, err := cluster.Exec(ctx, lab.RouterName, "ip", "address", "delete", "192.168.126.200/24", "dev", "eth0")
			Expect(err).NotTo(HaveOccurred())
		})
		apply(ctx, documents(poolWith("probed", `, conflictCheck: Probe`, "192.168.126.200/30"),
			poolWith("known", `, conflictCheck: Known`, "192.168.126.11-192.168.126.14")))
		apply(ctx, service("probed", "probed", ""))
		Eventually(ips("probed")).WithContext(ctx).Should(Equal([]string{"192.168.126.201"}))
		Eventually(events("probed", "AddressConflict")).WithContext(ctx).Should(ContainElement(ContainSubstring("192.168.126.200")))
		var p v1beta1.IPAddressPool
		Eventually(func(g Gomega) string {
			g.Expect(cluster.Client.Get(ctx, inNamespace("probed"), &p)).To(Succeed())
			c := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionConflictFree)
			g.Expect(c).NotTo(BeNil())
			g.Expect(c.Status).To(Equal(metav1.ConditionFalse))
			return c.Message
		}).Should(ContainSubstring("192.168.126.200"))
		By("leaving out the addresses of nodes")
		apply(ctx, service("known", "known", ""))
		Eventually(ips("known")).WithContext(ctx).Should(Equal([]string{"192.168.126.14"}))
	})

	It("of objects in use: what others name can't be deleted before them", func(ctx SpecContext) {
		profile := `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: used, namespace: metallb-system}
spec: {}
`
		user := `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: user, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64515, peerAddress: 192.168.126.77, bfdProfile: used}
`
		apply(ctx, documents(profile, user))
		Eventually(func() error { return cluster.Delete(ctx, profile) }).Should(MatchError(ContainSubstring("BGPPeer metallb-system/user")))
		Expect(cluster.Apply(ctx, pool("twice", "198.18.1.0/24"))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, pool("twice", "198.18.1.0/24"))).To(Succeed()) })
		Expect(cluster.Apply(ctx, pool("overlapping", "198.18.1.0/25"))).To(MatchError(And(ContainSubstring("overlaps"), ContainSubstring("twice"))))
	})
})

// withoutOperator stops the operator, and with it admission, while act runs.
func withoutOperator(ctx context.Context, act func()) {
	GinkgoHelper()
	scale := func(replicas int) {
		GinkgoHelper()
		_, err := cluster.Kubectl(ctx, "scale", "deployment", "metallb-operator-controller-manager", "--namespace", product.Namespace, fmt.Sprint("--replicas=", replicas))
		Expect(err).NotTo(HaveOccurred())
	}
	pods := func(g Gomega) int {
		var list corev1.PodList
		g.Expect(cluster.Client.List(ctx, &list, client.InNamespace(product.Namespace), client.MatchingLabels{"control-plane": "controller-manager"})).To(Succeed())
		return len(list.Items)
	}
	scale(0)
	defer func() {
		scale(1)
		_, err := cluster.Kubectl(ctx, "rollout", "status", "deployment/metallb-operator-controller-manager", "--namespace", product.Namespace, "--timeout=120s")
		Expect(err).NotTo(HaveOccurred())
	}()
	Eventually(pods).WithTimeout(time.Minute).Should(BeZero())
	act()
}

// killController kills the controller without warning and waits until it is back.
func killController(ctx context.Context) {
	GinkgoHelper()
	restarts := func(g Gomega) int32 {
		var list corev1.PodList
		g.Expect(cluster.Client.List(ctx, &list, client.InNamespace(product.Namespace), client.MatchingLabels{"component": "controller"})).To(Succeed())
		g.Expect(list.Items).To(HaveLen(1))
		g.Expect(list.Items[0].Status.ContainerStatuses).To(HaveLen(1))
		g.Expect(list.Items[0].Status.ContainerStatuses[0].Ready).To(BeTrue())
		return list.Items[0].Status.ContainerStatuses[0].RestartCount
	}
	var before int32
	Eventually(func(g Gomega) { before = restarts(g) }).Should(Succeed())
	for i := range clusterNodes {
		// The controller runs on one of the nodes.
		_, _ = cluster.Exec(ctx, lab.NodeName(i+1), "pkill", "-KILL", "-x", "controller")
	}
	Eventually(restarts).WithTimeout(time.Minute).Should(BeNumerically(">", before))
}

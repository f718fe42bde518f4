package e2e_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
)

func named(name string) client.ObjectKey { return client.ObjectKey{Namespace: "default", Name: name} }

var _ = Describe("Announcements", Ordered, func() {
	BeforeAll(func(ctx SpecContext) { apply(ctx, documents(peering, web("n1"), web("n2"))) })

	It("carry both families of a dual-stack Service", func(ctx SpecContext) {
		apply(ctx, documents(pool("dual", "198.51.100.0/28", "2001:db8:5::/124"), advertisement("dual", "dual", ""),
			service("dual", "dual", ", ipFamilyPolicy: RequireDualStack")))
		addresses, err := cluster.Addresses(ctx, named("dual"), 2)
		Expect(err).NotTo(HaveOccurred())
		Expect(addresses).To(ConsistOf("198.51.100.0", "2001:db8:5::"))
		Eventually(nextHops(host("198.51.100.0"))).Should(Equal(nodes4(1, 2)))
		Eventually(nextHops(host("2001:db8:5::"))).Should(HaveLen(2))
		Eventually(get("http://198.51.100.0/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
		Eventually(get("http://[2001:db8:5::]/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
	})

	It("with policy Local come only from nodes with an endpoint, and follow the endpoints", func(ctx SpecContext) {
		apply(ctx, documents(pool("local", "198.51.100.16/28"), advertisement("local", "local", ""),
			service("local", "local", ", externalTrafficPolicy: Local")))
		addresses, err := cluster.Addresses(ctx, named("local"), 1)
		Expect(err).NotTo(HaveOccurred())
		route := host(addresses[0])
		Eventually(nextHops(route)).Should(Equal(nodes4(1, 2)))
		Eventually(get("http://"+addresses[0]+"/")).WithContext(ctx).Should(
			ContainSubstring("remote="+lab.ClientAddresses().IPv4.String()), "Local keeps the client's address")

		By("deleting the pod on n2")
		Expect(cluster.Delete(ctx, web("n2"))).To(Succeed())
		Eventually(nextHops(route)).Should(Equal(nodes4(1)))
		By("deleting the last pod")
		Expect(cluster.Delete(ctx, web("n1"))).To(Succeed())
		Eventually(nextHops(route)).Should(BeEmpty())
		By("bringing both back")
		Expect(cluster.Apply(ctx, documents(web("n1"), web("n2")))).To(Succeed())
		Eventually(nextHops(route)).Should(Equal(nodes4(1, 2)))
	})

	It("end with their Service", func(ctx SpecContext) {
		apply(ctx, documents(pool("brief", "198.51.100.32/28"), advertisement("brief", "brief", "")))
		brief := service("brief", "brief", "")
		Expect(cluster.Apply(ctx, brief)).To(Succeed())
		Eventually(nextHops(host("198.51.100.32"))).Should(Equal(nodes4(1, 2)))
		Expect(cluster.Delete(ctx, brief)).To(Succeed())
		Eventually(nextHops(host("198.51.100.32"))).Should(BeEmpty())
	})

	It("carry communities by number, by alias and large, and nothing that was not asked for", func(ctx SpecContext) {
		apply(ctx, documents(`
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: site, namespace: metallb-system}
spec: {communities: [{name: blue, value: "64512:77"}, {name: wide, value: "large:64512:1:2"}]}
`, pool("marked", "198.51.100.48/28"),
			advertisement("marked", "marked", `, peers: [spy], communities: ["64512:100", blue, wide]`), service("marked", "marked", "")))
		Eventually(sent(ctx, "198.51.100.48/32")).Should(HaveLen(nodes))
		for node, path := range sent(ctx, "198.51.100.48/32")(Default) {
			Expect(path.Communities).To(Equal([]string{"64512:100", "64512:77"}), node)
			Expect(path.LargeCommunities).To(Equal([]string{"64512:1:2"}), node+": the speaker's own marks must stay on the node")
			Expect(path.ASPath).To(Equal([]uint32{64512}), node)
			Expect(path.LocalPref).To(BeNil(), node+": no LOCAL_PREF over eBGP")
		}
		Consistently(nextHops(host("198.51.100.48")), "1s").Should(BeEmpty(), "the advertisement names only the peer spy")
	})

	It("follow a changed advertisement without a reset of the session", func(ctx SpecContext) {
		apply(ctx, documents(pool("moved", "198.51.100.64/28"), advertisement("moved", "moved", `, communities: ["64512:1"]`), service("moved", "moved", "")))
		Eventually(sent(ctx, "198.51.100.64/32")).Should(HaveLen(nodes))
		before, err := spy.Sessions(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cluster.Apply(ctx, advertisement("moved", "moved", `, communities: ["64512:2"]`))).To(Succeed())
		Eventually(func(g Gomega) {
			paths := sent(ctx, "198.51.100.64/32")(g)
			g.Expect(paths).To(HaveLen(nodes))
			for node, path := range paths {
				g.Expect(path.Communities).To(Equal([]string{"64512:2"}), node)
			}
		}).Should(Succeed())
		after, err := spy.Sessions(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(since(after)).To(Equal(since(before)))
	})

	It("aggregate, and keep the prefix while any Service needs it", func(ctx SpecContext) {
		apply(ctx, documents(pool("whole", "198.51.100.80/28"), advertisement("whole", "whole", `, aggregationLength: 28`), service("whole-1", "whole", "")))
		second := service("whole-2", "whole", "")
		Expect(cluster.Apply(ctx, second)).To(Succeed())
		_, err := cluster.Addresses(ctx, named("whole-2"), 1)
		Expect(err).NotTo(HaveOccurred())
		Eventually(sent(ctx, "198.51.100.80/28")).Should(HaveLen(nodes))
		Expect(cluster.Delete(ctx, second)).To(Succeed())
		Consistently(sent(ctx, "198.51.100.80/28"), "1s").Should(HaveLen(nodes))
		Expect(sent(ctx, "198.51.100.81/32")(Default)).To(BeEmpty(), "only the aggregate is announced")
	})

	It("come only from nodes that the advertisement selects", func(ctx SpecContext) {
		apply(ctx, documents(pool("one", "198.51.100.96/28"),
			advertisement("one", "one", `, nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n2}}]`), service("one", "one", "")))
		Eventually(nextHops(host("198.51.100.96"))).Should(Equal(nodes4(2)))
		Eventually(sent(ctx, "198.51.100.96/32")).Should(And(HaveLen(1), HaveKey("n2")))
	})

	It("are explained on the Service: by whom, or why by nobody", func(ctx SpecContext) {
		apply(ctx, documents(pool("why", "198.51.100.128/28"), service("why", "why", ", externalTrafficPolicy: Local")))
		Eventually(announced(ctx, "why")).Should(HavePrefix("False NoMatchingAdvertisement: no node announces 198.51.100.128: "))
		By("adding an advertisement")
		apply(ctx, advertisement("why", "why", ", peers: [router, spy]"))
		// Which node was heard of first is told at once; a message that only says more waits for half a minute.
		Eventually(announced(ctx, "why")).WithTimeout(time.Minute).Should(Equal("True Announced: announced by BGP from 2 nodes to BGPPeers router, spy"))
		By("deleting the pods")
		Expect(cluster.Delete(ctx, documents(web("n1"), web("n2")))).To(Succeed())
		Eventually(announced(ctx, "why")).Should(And(HavePrefix("False NoLocalEndpoints: no node announces 198.51.100.128: the Service has no serving endpoint, "),
			ContainSubstring("externalTrafficPolicy is Local")))
		By("bringing both back")
		Expect(cluster.Apply(ctx, documents(web("n1"), web("n2")))).To(Succeed())
		Eventually(announced(ctx, "why")).Should(HavePrefix("True Announced: "))
	})

	It("stop on a node that is excluded from load balancers, and come back", func(ctx SpecContext) {
		apply(ctx, documents(pool("excluded", "198.51.100.112/28"), advertisement("excluded", "excluded", ""), service("excluded", "excluded", "")))
		Eventually(nextHops(host("198.51.100.112"))).Should(Equal(nodes4(1, 2)))
		const label = "node.kubernetes.io/exclude-from-external-load-balancers"
		_, err := cluster.Kubectl(ctx, "label", "node", "n1", label+"=")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) {
			_, err := cluster.Kubectl(ctx, "label", "node", "n1", label+"-")
			Expect(err).NotTo(HaveOccurred())
			Eventually(nextHops(host("198.51.100.112"))).Should(Equal(nodes4(1, 2)))
		})
		Eventually(nextHops(host("198.51.100.112"))).Should(Equal(nodes4(2)))
	})
})

// announced is what a Service says of being announced, as one text.
func announced(ctx context.Context, name string) func(Gomega) string {
	return func(g Gomega) string {
		text, err := cluster.Kubectl(ctx, "get", "service", name, "-o",
			`jsonpath={range .status.conditions[?(@.type=="metallb.io/Announced")]}{.status} {.reason}: {.message}{end}`)
		g.Expect(err).NotTo(HaveOccurred())
		return strings.TrimSpace(text)
	}
}

// since is when each session was established.
func since(sessions []gobgp.Session) map[string]int64 {
	at := map[string]int64{}
	for _, s := range sessions {
		at[s.Neighbor.String()] = s.Since.Unix()
	}
	return at
}

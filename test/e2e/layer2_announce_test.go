package e2e_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
)

var _ = Describe("Layer 2", Ordered, ContinueOnFailure, func() {
	BeforeAll(func(ctx SpecContext) { apply(ctx, webs()) })

	It("answers ARP and NDP from one node alone, says which, and clients get through", func(ctx SpecContext) {
		apply(ctx, documents(pool("both", "192.168.126.128/30", "fd00:126::1:0/126"), l2advertisement("both", ""), echo("both", ", ipFamilyPolicy: RequireDualStack")))
		var node string
		for _, address := range addressesOf(ctx, "both", 2) {
			node = owner(ctx, address)
			Eventually(told(ctx, "both")).Should(Equal([]string{node}), "both families are at one node")
			url := "http://" + netip.AddrPortFrom(netip.MustParseAddr(address), 80).String() + "/"
			Eventually(getFrom(station, url)).WithContext(ctx).Should(ContainSubstring("host=web-"))
			Eventually(get(url)).WithContext(ctx).Should(ContainSubstring("host=web-"))
		}
		Eventually(events("both", "nodeAssigned")).WithContext(ctx).Should(Equal(
			[]string{`announcing_from_node_"` + node + `"_with_protocol_"layer2"`}), "one, whose spaces are underscores here")
	})

	It("ends with its Service", func(ctx SpecContext) {
		apply(ctx, documents(pool("ends", "192.168.126.132/30"), l2advertisement("ends", "")))
		brief := echo("ends", "")
		Expect(cluster.Apply(ctx, brief)).To(Succeed())
		address := addressesOf(ctx, "ends", 1)[0]
		owner(ctx, address)
		Expect(cluster.Delete(ctx, brief)).To(Succeed())
		Eventually(answering(ctx, address)).Should(BeEmpty())
		Eventually(told(ctx, "ends")).Should(BeEmpty())
	})

	It("with policy Local is where an endpoint is, and follows the endpoints", func(ctx SpecContext) {
		apply(ctx, documents(pool("local", "192.168.126.136/30"), l2advertisement("local", ""), echo("local", ", externalTrafficPolicy: Local")))
		address := addressesOf(ctx, "local", 1)[0]
		first := owner(ctx, address)
		Eventually(getFrom(station, "http://"+address+"/")).WithContext(ctx).Should(And(ContainSubstring("node="+first),
			ContainSubstring("remote="+lab.SegmentAddresses(stationHost).IPv4.String())), "Local keeps the client's address")
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Apply(ctx, webs())).To(Succeed()) })

		By("deleting its endpoint")
		Expect(cluster.Delete(ctx, web(first))).To(Succeed())
		Eventually(answering(ctx, address)).Should(And(HaveLen(1), Not(ContainElement(first))))
		By("deleting all others")
		for _, node := range others(first) {
			Expect(cluster.Delete(ctx, web(node))).To(Succeed())
		}
		Eventually(answering(ctx, address)).Should(BeEmpty())
		By("bringing all back")
		Expect(cluster.Apply(ctx, webs())).To(Succeed())
		Eventually(answering(ctx, address)).Should(Equal([]string{first}))
	})

	It("is on the nodes that the advertisement selects, and moves with it", func(ctx SpecContext) {
		at := func(node string) string {
			return l2advertisement("chosen", `, nodeSelectors: [{matchLabels: {kubernetes.io/hostname: `+node+`}}]`)
		}
		apply(ctx, documents(pool("chosen", "192.168.126.140/30"), at("n2"), echo("chosen", "")))
		address := addressesOf(ctx, "chosen", 1)[0]
		Eventually(answering(ctx, address)).Should(Equal([]string{"n2"}))
		done := asking(ctx, address)
		Expect(cluster.Apply(ctx, at("n3"))).To(Succeed())
		Eventually(answering(ctx, address)).Should(Equal([]string{"n3"}))
		Expect(done().Lost()).To(BeZero(), "nothing is lost in a move between living nodes")
		Eventually(told(ctx, "chosen")).Should(Equal([]string{"n3"}))
	})

	It("is only where the interface is that the advertisement names", func(ctx SpecContext) {
		apply(ctx, documents(pool("uplink", "192.168.126.144/30"), l2advertisement("uplink", ", interfaces: [uplink0]"), echo("uplink", "")))
		address := addressesOf(ctx, "uplink", 1)[0]
		Expect(answering(ctx, address)(Default)).To(BeEmpty(), "no node has it")
		Eventually(events("uplink", "announceFailed")).WithContext(ctx).Should(ContainElement(And(ContainSubstring(address), ContainSubstring("uplink0"))), "and the user is told")
		Eventually(announced(ctx, "uplink")).Should(And(HavePrefix("False InterfaceMissing: no node answers for "+address+": "),
			ContainSubstring("node n3: interface uplink0 missing")), "as long as it is so")
		addUplink(ctx, "n3")
		Eventually(told(ctx, "uplink")).Should(Equal([]string{"n3"}))
		Eventually(announced(ctx, "uplink")).Should(Equal("True Announced: answered for on layer 2 by node n3"))
		mac, err := cluster.Exec(ctx, "n3", "cat", "/sys/class/net/uplink0/address")
		Expect(err).NotTo(HaveOccurred())
		Eventually(answering(ctx, address)).Should(Equal([]string{strings.TrimSpace(mac)}), "the interface's own hardware address")
		Eventually(getFrom(station, "http://"+address+"/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
		removeUplink(ctx, "n3")
		Eventually(answering(ctx, address)).Should(BeEmpty())
		Eventually(told(ctx, "uplink")).Should(BeEmpty())
	})

	It("has the addresses of one Service at as many nodes", func(ctx SpecContext) {
		apply(ctx, documents(pool("spread", "192.168.126.148/30"), l2advertisement("spread", ""), echoFrom("spread", "spread", `, metallb.io/l2-external-ips-count: "3"`, "")))
		var found []string
		for _, address := range addressesOf(ctx, "spread", clusterNodes) {
			found = append(found, owner(ctx, address))
		}
		slices.Sort(found)
		Expect(found).To(Equal([]string{"n1", "n2", "n3"}))
		Eventually(told(ctx, "spread")).Should(Equal(found))
	})

	It("balances addresses over the nodes if asked to", func(ctx SpecContext) {
		const services = 12
		documentsOf := []string{pool("balanced", "192.168.126.160/28"), l2advertisement("balanced", ", placement: Balanced")}
		for i := range services {
			documentsOf = append(documentsOf, echoFrom(fmt.Sprintf("balanced-%d", i), "balanced", "", ""))
		}
		wire := listening()
		began := time.Now()
		apply(ctx, documents(documentsOf...))
		var addresses []string
		for i := range services {
			addresses = append(addresses, addressesOf(ctx, fmt.Sprintf("balanced-%d", i), 1)...)
		}
		Eventually(func(g Gomega) {
			each := map[string]int{}
			for _, node := range lastClaims(wire, addresses, began) {
				each[node]++
			}
			g.Expect(each).To(Equal(map[string]int{"n1": 4, "n2": 4, "n3": 4}), "addresses of each node, as announced")
			for i := range services {
				g.Expect(told(ctx, fmt.Sprintf("balanced-%d", i))(g)).To(Equal([]string{lastClaims(wire, addresses, began)[addresses[i]]}))
			}
		}).Should(Succeed())
	})

	It("has Services that share an address at one node", func(ctx SpecContext) {
		const shared = `, metallb.io/allow-shared-ip: key, metallb.io/loadBalancerIPs: 192.168.126.152`
		other := strings.ReplaceAll(echoFrom("shared-2", "shared", shared, ""), "port: 80,", "port: 81,")
		apply(ctx, documents(pool("shared", "192.168.126.152/30"), l2advertisement("shared", ""), echoFrom("shared-1", "shared", shared, ""), other))
		Expect(append(addressesOf(ctx, "shared-1", 1), addressesOf(ctx, "shared-2", 1)...)).To(Equal([]string{"192.168.126.152", "192.168.126.152"}))
		node := owner(ctx, "192.168.126.152")
		for name, port := range map[string]string{"shared-1": ":80", "shared-2": ":81"} {
			Eventually(told(ctx, name)).Should(Equal([]string{node}), name)
			Eventually(getFrom(station, "http://192.168.126.152"+port+"/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
		}
	})

	It("leaves a node that is excluded from load balancers, and comes back, and nothing is lost", func(ctx SpecContext) {
		apply(ctx, documents(pool("excluded", "192.168.126.156/30"), l2advertisement("excluded", ""), echo("excluded", "")))
		address := addressesOf(ctx, "excluded", 1)[0]
		first := owner(ctx, address)
		done := asking(ctx, address)
		label := func(ctx SpecContext, change string) {
			GinkgoHelper()
			_, err := cluster.Kubectl(ctx, "label", "node", first, "node.kubernetes.io/exclude-from-external-load-balancers"+change)
			Expect(err).NotTo(HaveOccurred())
		}
		label(ctx, "=")
		DeferCleanup(func(ctx SpecContext) { label(ctx, "-") })
		Eventually(answering(ctx, address)).Should(And(HaveLen(1), Not(ContainElement(first))))
		label(ctx, "-")
		Eventually(answering(ctx, address)).Should(Equal([]string{first}))
		Expect(done().Lost()).To(BeZero())
	})

	It("is defended against a stranger who claims the address, and says so", func(ctx SpecContext) {
		apply(ctx, documents(pool("claimed", "192.168.126.180/30"), l2advertisement("claimed", ""), echo("claimed", "")))
		address := addressesOf(ctx, "claimed", 1)[0]
		node := owner(ctx, address)
		wire := listening()
		stranger(ctx, address)
		mac, err := cluster.MAC(station)
		Expect(err).NotTo(HaveOccurred())
		claim, err := wire.Wait(ctx, func(m tap.Message) bool { return m.Machine == station && m.Claims(netip.MustParseAddr(address)) })
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() map[string]int { return wire.Claimants(netip.MustParseAddr(address), claim.Time) }).Should(HaveKey(node), "it is defended")
		Eventually(events("claimed", "addressConflict")).WithContext(ctx).Should(ContainElement(And(ContainSubstring(address), ContainSubstring(mac))))
	}, SpecTimeout(time.Minute))

	It("says on the advertisement's conditions that it is in force", func(ctx SpecContext) {
		apply(ctx, documents(pool("said", "192.168.126.184/30"), l2advertisement("said", "")))
		var ad v1beta1.L2Advertisement
		Eventually(func(g Gomega) string {
			g.Expect(cluster.Client.Get(ctx, inNamespace("said"), &ad)).To(Succeed())
			var all []string
			for _, c := range ad.Status.Conditions {
				all = append(all, fmt.Sprintf("%s=%s", c.Type, c.Status))
			}
			return strings.Join(all, " ")
		}).Should(And(ContainSubstring(v1beta1.ConditionAccepted+"=True"), Not(ContainSubstring("=False"))))
	})
})

// lastClaims are the machines that claimed each address last.
func lastClaims(wire *tap.Tap, addresses []string, since time.Time) map[string]string {
	last := map[string]string{}
	for _, m := range wire.Messages() {
		if claimed, ok := m.Claim(); ok && m.Time.After(since) && slices.Contains(addresses, claimed.String()) {
			last[claimed.String()] = m.Machine
		}
	}
	return last
}

// addUplink gives a node a further interface on the segment, until the spec ends.
func addUplink(ctx SpecContext, node string) {
	GinkgoHelper()
	_, err := cluster.Exec(ctx, node, "sh", "-ec", "ip link add link eth0 name uplink0 type macvlan mode bridge; ip link set uplink0 up")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		_, _ = cluster.Exec(ctx, node, "ip", "link", "delete", "uplink0") // the spec has, where it went well
	})
}

func removeUplink(ctx SpecContext, node string) {
	GinkgoHelper()
	_, err := cluster.Exec(ctx, node, "ip", "link", "delete", "uplink0")
	Expect(err).NotTo(HaveOccurred())
}

// stranger lets the station have the address, and say so, until the spec ends.
func stranger(ctx SpecContext, address string) {
	GinkgoHelper()
	_, err := cluster.Exec(ctx, station, "sh", "-ec", "ip address add "+address+"/32 dev eth0; arping -U -c 1 -I eth0 "+address)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		_, err := cluster.Exec(ctx, station, "ip", "address", "delete", address+"/32", "dev", "eth0")
		Expect(err).NotTo(HaveOccurred())
	})
}

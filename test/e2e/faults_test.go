package e2e_test

import (
	"context"
	"net/netip"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// inNamespace names an object in the product's namespace.
func inNamespace(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: product.Namespace, Name: name}
}

// established waits until all of the router's sessions are up and returns how often each was established: unchanged means never reset.
// Without the wait a session that comes up for the first time, later than the others, would look like one that was reset.
func established(ctx context.Context) map[string]int {
	GinkgoHelper()
	counts := map[string]int{}
	Eventually(func(g Gomega) {
		sessions, err := cluster.RouterSessions(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(sessions).NotTo(BeEmpty())
		for address, s := range sessions {
			g.Expect(s.Established).To(BeTrue(), "the session with %s", address)
			counts[address.String()] = s.Count
		}
	}).WithContext(ctx).WithTimeout(time.Minute).Should(Succeed())
	return counts
}

// lossesWhile returns the withdrawals of BGP routes in the router's kernel while act runs and for a second after it.
func lossesWhile(ctx context.Context, act func()) []netns.Route {
	GinkgoHelper()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := cluster.WatchRoutes(watching, lab.RouterName)
	Expect(err).NotTo(HaveOccurred())
	lost := make(chan []netns.Route, 1)
	go func() {
		defer GinkgoRecover()
		var routes []netns.Route
		for event, err := range events {
			Expect(err).NotTo(HaveOccurred())
			if event.Deleted && event.Route.Protocol == netns.BGP {
				routes = append(routes, event.Route)
			}
		}
		lost <- routes
	}()
	act()
	settle := time.NewTimer(time.Second)
	defer settle.Stop()
	select {
	case <-settle.C:
	case <-ctx.Done():
	}
	stop()
	return <-lost
}

var _ = Describe("Faults", Ordered, ContinueOnFailure, func() {
	const address = "203.0.113.0"
	announced := documents(pool("steady", "203.0.113.0/28"), advertisement("steady", "steady", ""), service("steady", "steady", ""))

	BeforeAll(func(ctx SpecContext) {
		apply(ctx, documents(peering, web("n1"), web("n2"), announced))
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
		Eventually(get("http://" + address + "/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
	})

	It("wrong objects say what is wrong and stop nothing else", func(ctx SpecContext) {
		before := established(ctx)
		lost := lossesWhile(ctx, func() {
			overlapping := pool("overlapping", "203.0.113.8-203.0.113.20")
			Expect(cluster.Apply(ctx, overlapping)).To(MatchError(ContainSubstring("overlaps 203.0.113.0-203.0.113.15")))
			withoutOperator(ctx, func() { apply(ctx, overlapping) }) // as when admission is away or was circumvented
			apply(ctx, documents(
				advertisement("dangling", "steady, missing", `, peers: [router, ghost], communities: [nobody]`), `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: secretless, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64514, peerAddress: 192.168.126.8, passwordSecret: {name: missing}}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: profileless, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64514, peerAddress: 192.168.126.7, bfdProfile: missing}
`))
			says := func(object client.Object, name, condition string, conditions func() []metav1.Condition, want ...string) {
				GinkgoHelper()
				Eventually(func(g Gomega) {
					g.Expect(cluster.Client.Get(ctx, inNamespace(name), object)).To(Succeed())
					c := meta.FindStatusCondition(conditions(), condition)
					g.Expect(c).NotTo(BeNil(), "%s has no condition %s yet", name, condition)
					g.Expect(c.Status).To(Equal(metav1.ConditionFalse), c.Message)
					for _, text := range want {
						g.Expect(c.Message).To(ContainSubstring(text))
					}
				}).Should(Succeed())
			}
			var p v1beta1.IPAddressPool
			says(&p, "overlapping", v1beta1.ConditionAccepted, func() []metav1.Condition { return p.Status.Conditions }, "spec.addresses", "203.0.113.8-203.0.113.20", "steady")
			var ad v1beta1.BGPAdvertisement
			says(&ad, "dangling", v1beta1.ConditionResolvedRefs, func() []metav1.Condition { return ad.Status.Conditions }, "missing", "ghost", "nobody")
			var peer v1beta2.BGPPeer
			says(&peer, "secretless", v1beta1.ConditionResolvedRefs, func() []metav1.Condition { return peer.Status.Conditions }, "spec.passwordSecret", "missing")
			says(&peer, "profileless", v1beta1.ConditionResolvedRefs, func() []metav1.Condition { return peer.Status.Conditions }, "spec.bfdProfile", "missing")

			By("serving another Service all the same")
			apply(ctx, service("besides", "steady", ""))
			addresses, err := cluster.Addresses(ctx, named("besides"), 1)
			Expect(err).NotTo(HaveOccurred())
			Eventually(nextHops(host(addresses[0]))).Should(Equal(nodes4(1, 2)))
		})
		Expect(lost).To(BeEmpty())
		Expect(established(ctx)).To(Equal(before))
		config, err := cluster.SpeakerVtysh(ctx, product.Namespace, "n1", "show running-config")
		Expect(err).NotTo(HaveOccurred())
		Expect(config).NotTo(Or(ContainSubstring("192.168.126.8"), ContainSubstring("192.168.126.7")), "no session without its password or BFD")
	})

	It("a restarted speaker changes nothing at the peers", func(ctx SpecContext) {
		before := established(ctx)
		restarts := speakerRestarts(ctx, "speaker")
		afterwards := service("after-restart", "steady", "")
		var newest netip.Prefix
		Expect(lossesWhile(ctx, func() {
			_, err := cluster.Exec(ctx, "n1", "pkill", "-KILL", "-x", "speaker")
			Expect(err).NotTo(HaveOccurred())
			Eventually(func() int { return speakerRestarts(ctx, "speaker") }).WithTimeout(time.Minute).Should(BeNumerically(">", restarts))
			Expect(cluster.Apply(ctx, afterwards)).To(Succeed())
			addresses, err := cluster.Addresses(ctx, named("after-restart"), 1)
			Expect(err).NotTo(HaveOccurred())
			newest = host(addresses[0])
			Eventually(nextHops(host(addresses[0]))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)), "the new speaker announces what is new")
		})).To(BeEmpty())
		Expect(established(ctx)).To(Equal(before))
		Expect(cluster.Delete(ctx, afterwards)).To(Succeed())
		Eventually(nextHops(newest)).Should(BeEmpty(), "and withdraws what ends")
	})

	It("a restarted reloader changes nothing at the peers", func(ctx SpecContext) {
		before := established(ctx)
		restarts := speakerRestarts(ctx, "reloader")
		Expect(lossesWhile(ctx, func() {
			_, err := cluster.Exec(ctx, "n1", "pkill", "-KILL", "-x", "reloader")
			Expect(err).NotTo(HaveOccurred())
			Eventually(func() int { return speakerRestarts(ctx, "reloader") }).WithTimeout(time.Minute).Should(BeNumerically(">", restarts))
		})).To(BeEmpty())
		Expect(established(ctx)).To(Equal(before))
	})

	It("FRR killed comes back with everything it announced, and is told of", func(ctx SpecContext) {
		before, told := programmed(ctx, "n1"), toldOf(ctx, "daemonDown", "FRR's bgpd has ended")
		_, err := cluster.Exec(ctx, "n1", "pkill", "-KILL", "-x", "bgpd")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			g.Expect(nextHops(host(address))(g)).To(Equal(nodes4(2)))
		}).WithPolling(20*time.Millisecond).Should(Succeed(), "the router notices")
		Eventually(nextHops(host(address))).WithTimeout(90 * time.Second).Should(Equal(nodes4(1, 2)))
		// It was not Programmed in between.
		wholeAgain(ctx, "n1", before)
		Eventually(func() int { return toldOf(ctx, "daemonDown", "FRR's bgpd has ended") }).Should(BeNumerically(">", told))
		Eventually(func() int { return toldOf(ctx, "daemonUp", "FRR's bgpd is back") }).Should(BeNumerically(">", 0))
		established(ctx)
	})

	It("FRR's container that restarts comes back with everything it announced, and is told of", func(ctx SpecContext) {
		before, restarts := programmed(ctx, "n1"), speakerRestarts(ctx, "frr")
		_, err := cluster.Exec(ctx, "n1", "pkill", "-KILL", "-x", "watchfrr")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			g.Expect(nextHops(host(address))(g)).To(Equal(nodes4(2)))
		}).WithPolling(20*time.Millisecond).Should(Succeed(), "the router notices")
		Eventually(func() int { return speakerRestarts(ctx, "frr") }).WithTimeout(time.Minute).Should(BeNumerically(">", restarts))
		Eventually(nextHops(host(address))).WithTimeout(90 * time.Second).Should(Equal(nodes4(1, 2)))
		wholeAgain(ctx, "n1", before)
		Eventually(func() int { return toldOf(ctx, "daemonDown", "FRR's zebra has ended") }).Should(BeNumerically(">", 0))
		established(ctx)
	})

	It("a change made by hand in the running FRR is repaired, and told of", func(ctx SpecContext) {
		told := toldOf(ctx, "driftRepaired", "203.0.113.14/32")
		line := "network " + address + "/32"
		after, err := cluster.SpeakerVtysh(ctx, product.Namespace, "n1", "configure terminal", "router bgp 64512",
			"address-family ipv4 unicast", "no "+line, "network 203.0.113.14/32", "end", "show running-config")
		Expect(err).NotTo(HaveOccurred())
		Expect(after).NotTo(ContainSubstring(line), "the change by hand took effect")
		Expect(after).To(ContainSubstring("network 203.0.113.14/32"))
		Eventually(func(g Gomega) {
			now, err := cluster.SpeakerVtysh(ctx, product.Namespace, "n1", "show running-config")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(now).To(ContainSubstring(line))
			g.Expect(now).NotTo(ContainSubstring("203.0.113.14"))
		}).WithTimeout(time.Minute).Should(Succeed())
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
		Eventually(func() int { return toldOf(ctx, "driftRepaired", "203.0.113.14/32") }).Should(BeNumerically(">", told))
		Expect(programmed(ctx, "n1").Status).To(Equal(metav1.ConditionTrue))
	})

	It("a restarted controller keeps every address and serves the next Service", func(ctx SpecContext) {
		ingress := func() map[string]string {
			var all corev1.ServiceList
			Expect(cluster.Client.List(ctx, &all, client.InNamespace("default"))).To(Succeed())
			found := map[string]string{}
			for _, svc := range all.Items {
				for _, i := range svc.Status.LoadBalancer.Ingress {
					found[svc.Name] += i.IP + " " + svc.ResourceVersion
				}
			}
			return found
		}
		before := ingress()
		Expect(before).To(HaveKey("steady"))
		_, err := cluster.Kubectl(ctx, "delete", "pod", "--namespace", product.Namespace, "--selector", "app=metallb,component=controller")
		Expect(err).NotTo(HaveOccurred())
		apply(ctx, service("after-controller", "steady", ""))
		Eventually(func(g Gomega) {
			g.Expect(ingress()).To(HaveKey("after-controller"))
		}).WithTimeout(time.Minute).Should(Succeed())
		after := ingress()
		delete(after, "after-controller")
		Expect(after).To(Equal(before), "no address changed and no Service was written")
	})

	It("a cut cable is noticed by BFD and the traffic moves to the other node", func(ctx SpecContext) {
		var neighbors []lab.Neighbor
		for _, n := range lab.NodeNeighbors(nodes, 64512) {
			n.BFD = true
			neighbors = append(neighbors, n)
		}
		withBFD := strings.NewReplacer("peerAddress: 192.168.126.3}", "peerAddress: 192.168.126.3, bfdProfile: quick}").Replace(peering)
		apply(ctx, `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: quick, namespace: metallb-system}
spec: {receiveInterval: 100, transmitInterval: 100, detectMultiplier: 3}
`)
		Expect(cluster.ConfigureRouter(ctx, lab.RouterName, lab.RouterConfig(64512, lab.RouterAddresses().IPv4, neighbors...))).To(Succeed())
		Expect(cluster.Apply(ctx, withBFD)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(cluster.Apply(ctx, peering)).To(Succeed())
			Expect(cluster.ConfigureRouter(ctx, lab.RouterName, lab.DefaultRouterConfig(nodes))).To(Succeed())
			Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		}, NodeTimeout(2*time.Minute))
		Eventually(func(g Gomega) {
			sessions, err := cluster.RouterSessions(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			for _, node := range nodes4(1, 2) {
				g.Expect(sessions[node].Established).To(BeTrue(), node.String())
				g.Expect(sessions[node].BFD).To(Equal("Up"), node.String())
			}
		}).WithTimeout(time.Minute).Should(Succeed())
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))

		Expect(cluster.Cut("n1")).To(Succeed())
		DeferCleanup(func() { Expect(cluster.Restore("n1")).To(Succeed()) })
		Eventually(nextHops(host(address))).WithTimeout(10*time.Second).Should(Equal(nodes4(2)), "long before the hold time of 180 s")
		Expect(cluster.Restore("n1")).To(Succeed())
		Eventually(nextHops(host(address))).WithTimeout(90 * time.Second).Should(Equal(nodes4(1, 2)))
	})

	It("a session takes its password from a Secret, and a wrong one is not ignored", func(ctx SpecContext) {
		var guarded []lab.Neighbor
		for _, n := range lab.NodeNeighbors(nodes, 64512) {
			if n.Address.Is4() {
				n.Password = "good"
			}
			guarded = append(guarded, n)
		}
		secret := func(password string) string {
			return `
apiVersion: v1
kind: Secret
metadata: {name: tcp-md5, namespace: metallb-system}
type: kubernetes.io/basic-auth
stringData: {password: "` + password + `"}
`
		}
		Expect(cluster.ConfigureRouter(ctx, lab.RouterName, lab.RouterConfig(64512, lab.RouterAddresses().IPv4, guarded...))).To(Succeed())
		apply(ctx, secret("bad"))
		Expect(cluster.Apply(ctx, strings.ReplaceAll(peering, "192.168.126.3}", "192.168.126.3, passwordSecret: {name: tcp-md5}}"))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(cluster.Apply(ctx, peering)).To(Succeed())
			Expect(cluster.ConfigureRouter(ctx, lab.RouterName, lab.DefaultRouterConfig(nodes))).To(Succeed())
			Eventually(nextHops(host(address))).WithTimeout(2 * time.Minute).Should(Equal(nodes4(1, 2)))
		}, NodeTimeout(3*time.Minute))
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(BeEmpty(), "the router refuses the wrong password")
		Expect(cluster.Apply(ctx, secret(guarded[0].Password))).To(Succeed())
		Eventually(nextHops(host(address))).WithTimeout(3 * time.Minute).Should(Equal(nodes4(1, 2)))
	})

	It("a deleted DaemonSet is back, with its announcements", func(ctx SpecContext) {
		_, err := cluster.Kubectl(ctx, "delete", "daemonset", "speaker", "--namespace", product.Namespace)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			for i := range clusterNodes {
				pod, err := cluster.SpeakerPod(ctx, lab.NodeName(i+1))
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
			}
		}).WithTimeout(2 * time.Minute).Should(Succeed())
		Expect(cluster.WaitAvailable(ctx)).To(Succeed())
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
	})

	It("a node that lost its power is left out, and comes back by itself", func(ctx SpecContext) {
		const timers = ", holdTime: 3s, keepaliveTime: 1s}"
		short := strings.NewReplacer("peerAddress: 192.168.126.3}", "peerAddress: 192.168.126.3"+timers, `"fd00:126::3"}`, `"fd00:126::3"`+timers).Replace(peering)
		Expect(cluster.Apply(ctx, short)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Apply(ctx, peering)).To(Succeed()) })
		Eventually(func(g Gomega) {
			config, err := cluster.SpeakerVtysh(ctx, product.Namespace, "n1", "show running-config")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(config).To(And(ContainSubstring("neighbor 192.168.126.3 timers 1 3"), ContainSubstring("neighbor fd00:126::3 timers 1 3")))
		}).Should(Succeed())
		// Timers are agreed on when a session opens (RFC 4271 section 4.2); a changed one closes none.
		for _, neighbor := range []netip.Addr{lab.NodeAddresses(1).IPv4, lab.NodeAddresses(1).IPv6} {
			_, err := cluster.Vtysh(ctx, lab.RouterName, "clear bgp "+neighbor.String())
			Expect(err).NotTo(HaveOccurred())
			Eventually(func(g Gomega) {
				text, err := cluster.Vtysh(ctx, lab.RouterName, "show bgp neighbors "+neighbor.String()+" json")
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(text).To(MatchRegexp(`"bgpTimerHoldTimeMsecs": ?3000\b`))
			}).WithTimeout(time.Minute).Should(Succeed())
		}
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))

		Expect(cluster.PowerOff(ctx, "n1")).To(Succeed())
		off := true
		DeferCleanup(func(ctx SpecContext) {
			if off {
				Expect(cluster.Boot(ctx, "n1")).To(Succeed())
			}
		})
		Eventually(nextHops(host(address))).Should(Equal(nodes4(2)), "the hold time of 3 s is over")
		Expect(cluster.Boot(ctx, "n1")).To(Succeed())
		off = false
		Eventually(nextHops(host(address))).WithTimeout(3 * time.Minute).Should(Equal(nodes4(1, 2)))
		Eventually(get("http://" + address + "/")).WithContext(ctx).WithTimeout(2 * time.Minute).Should(ContainSubstring("host=web-"))
		established(ctx) // of both families, for the specs after this one
	})
})

// programmed is the condition Programmed of a node's speaker.
func programmed(ctx context.Context, node string) metav1.Condition {
	GinkgoHelper()
	var state v1beta1.ConfigurationState
	Expect(cluster.Client.Get(ctx, inNamespace("speaker-"+node), &state)).To(Succeed())
	c := meta.FindStatusCondition(state.Status.Conditions, v1beta1.ConditionProgrammed)
	Expect(c).NotTo(BeNil())
	return *c
}

// wholeAgain waits until a node's speaker says that FRR runs what it is to run, and did not in between.
func wholeAgain(ctx context.Context, node string, before metav1.Condition) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := programmed(ctx, node)
		g.Expect(now.Status).To(Equal(metav1.ConditionTrue), now.Message)
		g.Expect(now.LastTransitionTime.Time).To(BeTemporally(">", before.LastTransitionTime.Time))
	}).WithContext(ctx).WithTimeout(time.Minute).Should(Succeed())
}

// toldOf counts how often events on the ConfigurationState of the speaker on n1 told of something.
func toldOf(ctx context.Context, reason, words string) int {
	GinkgoHelper()
	var list corev1.EventList
	Expect(cluster.Client.List(ctx, &list, client.InNamespace(product.Namespace))).To(Succeed())
	count := 0
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == "ConfigurationState" && e.InvolvedObject.Name == "speaker-n1" && e.Reason == reason && strings.Contains(e.Message, words) {
			count += int(e.Count)
		}
	}
	return count
}

// speakerRestarts counts the restarts of one container of the speaker pod on n1.
func speakerRestarts(ctx context.Context, container string) int {
	GinkgoHelper()
	pod, err := cluster.SpeakerPod(ctx, "n1")
	Expect(err).NotTo(HaveOccurred())
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return int(status.RestartCount)
		}
	}
	Fail("pod " + pod.Name + " has no container " + container)
	return 0
}

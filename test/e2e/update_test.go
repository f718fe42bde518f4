package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// speakersOf are the speakers' pods by node.
func speakersOf(ctx context.Context, g Gomega) map[string]*corev1.Pod {
	pods := map[string]*corev1.Pod{}
	for i := range clusterNodes {
		pod, err := cluster.SpeakerPod(ctx, lab.NodeName(i+1))
		g.Expect(err).NotTo(HaveOccurred())
		pods[pod.Spec.NodeName] = pod
	}
	return pods
}

// run names one run of a container of a pod.
func run(pod *corev1.Pod, container string) string {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status.ContainerID
		}
	}
	return ""
}

// imageOf is what a container of a pod is to run.
func imageOf(pod *corev1.Pod, container string) string {
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// operatorImages is what a new version of the operator is to the speakers: other images.
func operatorImages(ctx context.Context, images ...string) {
	GinkgoHelper()
	kubectl(ctx, append([]string{"set", "env", "deployment/metallb-operator-controller-manager", "--namespace", product.Namespace}, images...)...)
}

// asShipped gives the operator back the images that it came with, and waits until all speakers have them.
func asShipped(ctx context.Context) {
	GinkgoHelper()
	operatorImages(ctx, "SPEAKER_IMAGE="+assets.ProgramsImage, "FRR_IMAGE="+assets.FRRImage)
	updatedTo(ctx, assets.ProgramsImage, assets.FRRImage)
}

// updatedTo waits until all speakers run these images.
func updatedTo(ctx context.Context, speaker, frr string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for node, pod := range speakersOf(ctx, g) {
			g.Expect(imageOf(pod, "speaker")+" "+imageOf(pod, "frr")).To(Equal(speaker+" "+frr), node)
		}
	}).WithContext(ctx).WithTimeout(4 * time.Minute).Should(Succeed())
	Expect(cluster.WaitUpdated(ctx)).To(Succeed())
}

// restarting is peering without the GoBGP peer, whose sessions have no graceful restart, and with it for the others.
func restarting() string {
	var all []string
	for one := range strings.SplitSeq(peering, "\n---\n") {
		if !strings.Contains(one, "name: spy") {
			all = append(all, strings.Replace(one, "spec: {", "spec: {enableGracefulRestart: true, ", 1))
		}
	}
	return documents(all...)
}

// others than the next hops n1 and n2 that the router had.
func otherHops(seen [][]netip.Addr) [][]netip.Addr {
	return slices.DeleteFunc(slices.Clone(seen), func(hops []netip.Addr) bool { return slices.Equal(hops, nodes4(1, 2)) })
}

var _ = Describe("An update", Ordered, func() {
	const address, onLink = "203.0.113.224", "192.168.126.236"

	BeforeAll(func(ctx SpecContext) {
		apply(ctx, documents(web("n1"), web("n2"), pool("updating", address+"/32"), advertisement("updating", "updating", ""), echo("updating", ""),
			pool("onlink", onLink+"/32"), l2advertisement("onlink", ""), echo("onlink", "")))
		DeferCleanup(asShipped, NodeTimeout(5*time.Minute))
	}, NodeTimeout(time.Minute))

	It("of speaker and reloader leaves FRR, its sessions, the routes and the traffic alone", func(ctx SpecContext) {
		apply(ctx, peering)
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		next, err := cluster.LoadProgramsVersion(ctx, "next")
		Expect(err).NotTo(HaveOccurred())
		sessions, before := established(ctx), speakersOf(ctx, Default)
		a, besides := fromClient(ctx, address), asking(ctx, onLink)
		seen := changesWhile(ctx, host(address), func() {
			operatorImages(ctx, "SPEAKER_IMAGE="+next)
			updatedTo(ctx, next, assets.FRRImage)
		})
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(seen).To(BeEmpty(), "the router's route is not touched")
		Expect(established(ctx)).To(Equal(sessions), "no session was opened anew")
		Expect(all.Lost()).To(BeZero(), all.String())
		Expect(besides().Lost()).To(BeZero(), "nor is anything lost on layer 2")
		for node, pod := range speakersOf(ctx, Default) {
			Expect(pod.UID).To(Equal(before[node].UID), "the pod of %s is the same", node)
			for container, same := range map[string]bool{"frr": true, "reloader": true, "speaker": false, "update-reloader": false} {
				Expect(run(pod, container) == run(before[node], container)).To(Equal(same), "container %s of %s runs on", container, node)
			}
			Eventually(func() (string, error) {
				return cluster.Kubectl(ctx, "logs", pod.Name, "--namespace", product.Namespace, "--container", "reloader")
			}).WithContext(ctx).Should(ContainSubstring(`"event":"replaced"`), "and in its container there is the other reloader")
		}
	}, SpecTimeout(6*time.Minute))

	It("that cannot be had stays on one node, which FRR goes on announcing from, and is taken back", func(ctx SpecContext) {
		apply(ctx, peering)
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		sessions, before := established(ctx), speakersOf(ctx, Default)
		has := imageOf(before["n1"], "speaker")
		a := fromClient(ctx, address)
		seen := changesWhile(ctx, host(address), func() {
			operatorImages(ctx, "SPEAKER_IMAGE=localhost/programs-missing:dev")
			for _, condition := range []string{"Degraded", "Progressing"} {
				Eventually(said(ctx, condition)).WithContext(ctx).WithTimeout(2 * time.Minute).Should(And(HavePrefix("True "),
					ContainSubstring("node n1: container "), ContainSubstring("image localhost/programs-missing:dev cannot be had")))
			}
			Consistently(func(g Gomega) {
				for node, pod := range speakersOf(ctx, g) {
					g.Expect(pod.UID).To(Equal(before[node].UID))
					g.Expect(imageOf(pod, "speaker") == has).To(Equal(node != "n1"), node)
				}
			}, "5s").WithContext(ctx).Should(Succeed(), "the other nodes are left alone")
			operatorImages(ctx, "SPEAKER_IMAGE="+has)
			updatedTo(ctx, has, assets.FRRImage)
		})
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(seen).To(BeEmpty(), "the router's route is not touched")
		Expect(established(ctx)).To(Equal(sessions), "no session was opened anew")
		Expect(all.Lost()).To(BeZero(), all.String())
		for node, pod := range speakersOf(ctx, Default) {
			Expect(run(pod, "frr")).To(Equal(run(before[node], "frr")), "FRR of %s runs on", node)
		}
	}, SpecTimeout(6*time.Minute))

	It("of FRR goes node by node, and with graceful restart changes nothing at the router", func(ctx SpecContext) {
		apply(ctx, restarting())
		Eventually(nextHops(host(address))).WithTimeout(time.Minute).Should(Equal(nodes4(1, 2)))
		established(ctx)
		before := speakersOf(ctx, Default)
		has, next := imageOf(before["n1"], "speaker"), "localhost/frr:next"
		for node := range before {
			_, err := cluster.Exec(ctx, node, "ctr", "-n", "k8s.io", "images", "tag", "--force", assets.FRRImage, next)
			Expect(err).NotTo(HaveOccurred())
		}
		a := fromClient(ctx, address)
		seen := changesWhile(ctx, host(address), func() {
			operatorImages(ctx, "FRR_IMAGE="+next)
			// Whenever the next node is begun with, the sessions of the one before are back.
			left := []string{"n1", "n2", "n3"}
			Eventually(func(g Gomega) []string {
				for len(left) > 0 {
					pod, err := cluster.SpeakerPod(ctx, left[0])
					if err == nil && pod.UID == before[left[0]].UID && pod.DeletionTimestamp == nil {
						return left
					}
					begun := left[0]
					left = left[1:]
					sessions, err := cluster.RouterSessions(ctx)
					g.Expect(err).NotTo(HaveOccurred())
					for i := range nodes {
						if own := lab.NodeAddresses(i + 1); lab.NodeName(i+1) != begun {
							if !sessions[own.IPv4].Established || !sessions[own.IPv6].Established {
								Fail(fmt.Sprintf("node %s is begun with while a session of %s is down: %+v", begun, lab.NodeName(i+1), sessions))
							}
						}
					}
				}
				return left
			}).WithContext(ctx).WithTimeout(4 * time.Minute).Should(BeEmpty())
			updatedTo(ctx, has, next)
			established(ctx)
			Consistently(nextHops(host(address)), "3s").Should(Equal(nodes4(1, 2)), "also when the router gives up what it only kept")
		})
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		Expect(otherHops(seen)).To(BeEmpty(), "the route and its next hops stay")
		Expect(all.Lost()).To(BeZero(), all.String())
		for node, pod := range speakersOf(ctx, Default) {
			Expect(pod.UID).NotTo(Equal(before[node].UID), "the pod of %s is another one", node)
		}
	}, SpecTimeout(8*time.Minute))
})

// said is status and message of a condition of the MetalLB object.
func said(ctx context.Context, condition string) func() (string, error) {
	return func() (string, error) {
		path := fmt.Sprintf(`{range .status.conditions[?(@.type=="%s")]}{.status} {.message}{end}`, condition)
		return cluster.Kubectl(ctx, "get", "metallb", "metallb", "--namespace", product.Namespace, "--output", "jsonpath="+path)
	}
}

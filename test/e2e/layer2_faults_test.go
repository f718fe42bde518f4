package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// takeOverLimit bounds each take-over here. How fast it is, the benchmarks say; this is to be true on any machine.
const takeOverLimit = 5 * time.Second

var _ = Describe("Layer 2 when something breaks", Ordered, ContinueOnFailure, func() {
	const address = "192.168.126.208"

	BeforeAll(func(ctx SpecContext) {
		apply(ctx, documents(webs(), pool("firm", address+"/30"), l2advertisement("firm", ""), echo("firm", "")))
		Expect(addressesOf(ctx, "firm", 1)).To(Equal([]string{address}))
	})

	It("a killed speaker's address is taken over at once, and taken back when it returns", func(ctx SpecContext) {
		first := owner(ctx, address)
		wire := listening()
		took := kill(ctx, first)
		takeOver(ctx, wire, address, first, took)
		Eventually(answering(ctx, address)).WithTimeout(time.Minute).Should(Equal([]string{first}))
		Eventually(told(ctx, "firm")).Should(Equal([]string{first}))
	})

	It("a rolling restart of all speakers loses nothing", func(ctx SpecContext) {
		first := owner(ctx, address)
		done := asking(ctx, address)
		kubectl(ctx, "rollout", "restart", "daemonset/speaker", "--namespace", product.Namespace)
		Expect(cluster.WaitUpdated(ctx)).To(Succeed())
		Eventually(answering(ctx, address)).WithTimeout(time.Minute).Should(Equal([]string{first}))
		all := done()
		Expect(all.Lost()).To(BeZero(), all.String())
	})

	It("without the API server answers go on, and a dead speaker's address still moves", func(ctx SpecContext) {
		first := owner(ctx, address)
		wire := listening()
		withoutAPI(ctx, func() {
			Expect(answering(ctx, address)(Default)).To(Equal([]string{first}))
			took := kill(ctx, first)
			takeOver(ctx, wire, address, first, took)
			Eventually(answering(ctx, address)).Should(And(HaveLen(1), Not(ContainElement(first))))
		})
		Eventually(answering(ctx, address)).WithTimeout(time.Minute).Should(Equal([]string{first}))
		Eventually(told(ctx, "firm")).WithTimeout(time.Minute).Should(Equal([]string{first}))
	})

	It("another key for the gossip moves nothing", func(ctx SpecContext) {
		first := owner(ctx, address)
		before, changes := gossipKey(ctx), keyChanges(ctx)(Default)
		wire := listening()
		turnKey(ctx, strings.Repeat("k", len(before)))
		DeferCleanup(func(ctx SpecContext) { turnKey(ctx, before) }) // before any speaker writes with the other one
		Eventually(keyChanges(ctx)).Should(Equal(changes+clusterNodes), "every speaker can read what is written with the other key")
		Expect(answering(ctx, address)(Default)).To(Equal([]string{first}))
		for _, node := range others(first) {
			Expect(wire.Claimants(netip.MustParseAddr(address), time.Time{})).NotTo(HaveKey(node))
		}
	})

	It("a node without power is replaced, and takes its address back when it returns", func(ctx SpecContext) {
		first := owner(ctx, address)
		// kube-proxy goes on sending to a dead node's pods until Kubernetes notices; that is not what is asked here.
		Expect(cluster.Delete(ctx, web(first))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Apply(ctx, webs())).To(Succeed()) })
		wire := listening()
		done := asking(ctx, address)
		took := time.Now()
		Expect(cluster.PowerOff(ctx, first)).To(Succeed())
		off := true
		DeferCleanup(func(ctx SpecContext) {
			if off {
				Expect(cluster.Boot(ctx, first)).To(Succeed())
			}
		})
		takeOver(ctx, wire, address, first, took)
		Eventually(answering(ctx, address)).Should(And(HaveLen(1), Not(ContainElement(first))))
		all := done()
		Expect(all.Silence()).To(BeNumerically("<", takeOverLimit), all.String())
		Expect(all[len(all)-20:].Lost()).To(BeZero(), "clients get through again")

		Expect(cluster.Boot(ctx, first)).To(Succeed())
		off = false
		Eventually(answering(ctx, address)).WithTimeout(3 * time.Minute).Should(Equal([]string{first}))
		Expect(cluster.WaitAvailable(ctx)).To(Succeed())
	})
})

// withoutAPI cuts the control plane's cable while act runs: nodes cannot reach it, this process still can. Kubernetes calls a node that is
// silent for 40 s not Ready, which is another story: act has to be shorter.
func withoutAPI(ctx SpecContext, act func()) {
	GinkgoHelper()
	Expect(cluster.Cut(lab.ControlPlaneName)).To(Succeed())
	mend := func() { Expect(cluster.Restore(lab.ControlPlaneName)).To(Succeed()) }
	DeferCleanup(mend)
	began := time.Now()
	act()
	Expect(time.Since(began)).To(BeNumerically("<", 30*time.Second), "the nodes may be held for dead by now")
	mend()
	for i := range clusterNodes {
		Expect(cluster.WaitNode(ctx, lab.NodeName(i+1), true)).To(Succeed())
	}
}

// gossipKey is what the Secret memberlist holds.
func gossipKey(ctx context.Context) string {
	GinkgoHelper()
	var secret corev1.Secret
	Expect(cluster.Client.Get(ctx, inNamespace("memberlist"), &secret)).To(Succeed())
	return string(secret.Data["secretkey"])
}

// turnKey changes the Secret memberlist and waits until every speaker's pod has it.
func turnKey(ctx context.Context, key string) {
	GinkgoHelper()
	patch := fmt.Sprintf(`{"data":{"secretkey":%q}}`, base64.StdEncoding.EncodeToString([]byte(key)))
	_, err := cluster.Kubectl(ctx, "patch", "secret", "memberlist", "--namespace", product.Namespace, "--patch", patch)
	Expect(err).NotTo(HaveOccurred())
	// A kubelet brings changed Secrets to a pod when it looks at the pod again: every minute or so, and whenever the pod changes.
	_, err = cluster.Kubectl(ctx, "annotate", "pods", "--namespace", product.Namespace, "--selector", "component=speaker", "--overwrite", fmt.Sprint("looked-at=", time.Now().UnixNano()))
	Expect(err).NotTo(HaveOccurred())
	for i := range clusterNodes {
		pod, err := cluster.SpeakerPod(ctx, lab.NodeName(i+1))
		Expect(err).NotTo(HaveOccurred())
		file := filepath.Join("/var/lib/kubelet/pods", string(pod.UID), "volumes/kubernetes.io~secret/*/secretkey")
		Eventually(func() (string, error) { return cluster.Exec(ctx, pod.Spec.NodeName, "sh", "-c", "cat "+file) }).WithTimeout(2 * time.Minute).Should(Equal(key))
	}
}

// keyChanges counts how often speakers said that they know another key.
func keyChanges(ctx context.Context) func(Gomega) int {
	return func(g Gomega) int {
		text, err := cluster.Kubectl(ctx, "logs", "--namespace", product.Namespace, "--selector", "component=speaker", "--container", "speaker", "--tail=-1")
		g.Expect(err).NotTo(HaveOccurred())
		return strings.Count(text, "the keys of the members changed")
	}
}

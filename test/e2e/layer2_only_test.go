package e2e_test

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

var _ = Describe("An installation for layer 2 alone", Ordered, func() {
	const address = "192.168.126.212"

	It("runs no FRR, and the first BGPPeer brings it without a lost answer", func(ctx SpecContext) {
		installAnew(ctx, v1beta1.FRRWhenNeeded)
		DeferCleanup(func(ctx SpecContext) { installAnew(ctx, v1beta1.FRRAlways) }, NodeTimeout(5*time.Minute))
		apply(ctx, documents(webs(), pool("alone", address+"/30"), l2advertisement("alone", ""), echo("alone", "")))
		Expect(addressesOf(ctx, "alone", 1)).To(Equal([]string{address}))
		Expect(containers(ctx)(Default)).To(And(HaveLen(clusterNodes), HaveEach(Equal("speaker"))))
		first := owner(ctx, address)

		done := asking(ctx, address)
		apply(ctx, documents(peering, advertisement("alone", "alone", "")))
		Eventually(containers(ctx)).WithTimeout(4 * time.Minute).Should(And(HaveLen(clusterNodes), HaveEach(ContainSubstring("frr"))))
		Expect(cluster.WaitAvailable(ctx)).To(Succeed())
		Eventually(nextHops(host(address))).WithTimeout(2 * time.Minute).Should(Equal(nodes4(1, 2)))
		Eventually(answering(ctx, address)).WithTimeout(time.Minute).Should(Equal([]string{first}))
		all := done()
		Expect(all.Lost()).To(BeZero(), all.String())
	}, NodeTimeout(15*time.Minute))
})

// installAnew deletes the MetalLB object and makes another one.
func installAnew(ctx context.Context, frr v1beta1.FRRMode) {
	GinkgoHelper()
	object := &v1beta1.MetalLB{}
	object.Name, object.Namespace = v1beta1.MetalLBName, product.Namespace
	Expect(cluster.Client.Delete(ctx, object)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(cluster.Client.Get(ctx, client.ObjectKeyFromObject(object), object))
	}).WithContext(ctx).WithTimeout(2*time.Minute).Should(BeTrue(), "the MetalLB object is gone")
	object = &v1beta1.MetalLB{Spec: v1beta1.MetalLBSpec{FRR: frr}}
	object.Name, object.Namespace = v1beta1.MetalLBName, product.Namespace
	Expect(cluster.Client.Create(ctx, object)).To(Succeed())
	Expect(cluster.WaitAvailable(ctx)).To(Succeed())
}

// containers are the names of the containers of each speaker's pod that is ready, with a space between.
func containers(ctx context.Context) func(Gomega) []string {
	return func(g Gomega) []string {
		var pods corev1.PodList
		g.Expect(cluster.Client.List(ctx, &pods, client.InNamespace(product.Namespace), client.MatchingLabels{"component": "speaker"})).To(Succeed())
		var all []string
		for _, pod := range pods.Items {
			ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
			if !ready || !pod.DeletionTimestamp.IsZero() {
				continue
			}
			names := ""
			for _, c := range pod.Spec.Containers {
				if names != "" {
					names += " "
				}
				names += c.Name
			}
			all = append(all, names)
		}
		return all
	}
}

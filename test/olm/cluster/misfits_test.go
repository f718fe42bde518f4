package cluster

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/config/olm"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// misfits are installations that do not work, and where a user finds why.
func misfits() {
	AfterAll(func(ctx SpecContext) { remove(ctx, product.Namespace) })

	It("without an OperatorGroup does not begin, and only OLM's log says why", func(ctx SpecContext) {
		Expect(manager.Apply(ctx, Namespace+"\n---\n"+Subscription)).To(Succeed())
		Eventually(managerLog(ctx)).WithContext(ctx).Should(ContainSubstring(`sync \"/metallb-system\" failed: found 0 operatorGroups, expected 1`))
		Expect(manager.Complaints(ctx)).To(BeEmpty(), "the Subscription has nothing to say")
		Expect(manager.Delete(ctx, Subscription)).To(Succeed())
	})

	It("with two OperatorGroups does not begin either", func(ctx SpecContext) {
		Expect(manager.Apply(ctx, OperatorGroup+"\nspec: {targetNamespaces: [default]}\n---\n"+another)).To(Succeed())
		Expect(manager.Apply(ctx, Subscription)).To(Succeed())
		Eventually(managerLog(ctx)).WithContext(ctx).Should(ContainSubstring(`sync \"/metallb-system\" failed: found 2 operatorGroups, expected 1`))
		Expect(manager.Complaints(ctx)).To(BeEmpty(), "the Subscription has nothing to say")
	})

	It("with an OperatorGroup for another namespace says so on the ClusterServiceVersion", func(ctx SpecContext) {
		Expect(manager.Delete(ctx, another)).To(Succeed(), "then it goes on by itself")
		Eventually(said(ctx)).Should(HavePrefix("Failed UnsupportedOperatorGroup: "))
	})

	It("goes on by itself when the OperatorGroup is mended", func(ctx SpecContext) {
		Expect(manager.Apply(ctx, OperatorGroup+"\nspec: {targetNamespaces: [metallb-system]}")).To(Succeed())
		Expect(manager.WaitInstalled(ctx, manager.Previous())).To(Succeed(), "an OperatorGroup of its own namespace alone is as good as one of all")
	})

	It("with an OperatorGroup too many, later, says so on the ClusterServiceVersion, until it is gone", func(ctx SpecContext) {
		Expect(manager.Apply(ctx, another)).To(Succeed())
		Eventually(said(ctx)).Should(HavePrefix("Failed TooManyOperatorGroups: "))
		Expect(manager.Delete(ctx, another)).To(Succeed())
		Expect(manager.WaitInstalled(ctx, manager.Previous())).To(Succeed())
	})
}

// another is an OperatorGroup beside the one that users write.
const another = `
apiVersion: operators.coreos.com/v1
kind: OperatorGroup
metadata: {name: another, namespace: metallb-system}`

// elsewhere is an installation into a namespace that the operator's rights are not for.
func elsewhere() {
	const namespace = "elsewhere"
	AfterAll(func(ctx SpecContext) { remove(ctx, namespace) })

	It("is not called a success, and the operator's log says why", func(ctx SpecContext) {
		objects := strings.Join([]string{Namespace, OperatorGroup, Subscription}, "\n---\n")
		Expect(manager.Apply(ctx, strings.ReplaceAll(objects, product.Namespace, namespace))).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(manager.Kubectl(ctx, "logs", "--namespace", namespace, "deployment/metallb-operator-controller-manager")).To(
				And(ContainSubstring(`"event":"noRights"`), ContainSubstring(product.Namespace)))
		}).WithContext(ctx).Should(Succeed())
		csv, err := manager.get(ctx, csvKind, namespace, olm.Name(manager.pkg.Name, manager.Previous()))
		Expect(err).NotTo(HaveOccurred())
		phase, _, _ := unstructured.NestedString(csv.Object, "status", "phase")
		Expect(phase).To(Or(Equal("InstallReady"), Equal("Installing")))
		var pods corev1.PodList
		Expect(manager.Client.List(ctx, &pods, client.InNamespace(namespace))).To(Succeed())
		for _, pod := range pods.Items {
			Expect(pod.Status.ContainerStatuses).To(HaveEach(HaveField("Ready", false)), pod.Name)
		}
	})
}

// managerLog is what OLM's operator for Subscriptions has logged.
func managerLog(ctx context.Context) func(Gomega) string {
	return func(g Gomega) string {
		text, err := manager.Kubectl(ctx, "logs", "--namespace", managerNamespace, "deployment/catalog-operator")
		g.Expect(err).NotTo(HaveOccurred())
		return text
	}
}

// said is what the ClusterServiceVersion of the previous version says.
func said(ctx context.Context) func(Gomega) string {
	return func(g Gomega) string {
		text, err := manager.CSV(ctx, manager.Previous())
		g.Expect(err).NotTo(HaveOccurred())
		return text
	}
}

// remove takes an installation away that has no MetalLB object.
func remove(ctx context.Context, namespace string) {
	GinkgoHelper()
	kubectl(ctx, "delete", "subscription,clusterserviceversion", "--namespace", namespace, "--all")
	for crd := range strings.FieldsSeq(kubectl(ctx, "get", "crd", "--output", "name")) {
		if strings.HasSuffix(crd, ".metallb.io") {
			kubectl(ctx, "delete", crd)
		}
	}
	kubectl(ctx, "delete", "clusterrole", "--ignore-not-found", "metallb-metrics-reader")
	kubectl(ctx, "delete", "rolebinding", "--ignore-not-found", "--namespace", "kube-system", "metallb-operator-controller-manager-service-auth-reader")
	kubectl(ctx, "delete", "namespace", namespace)
	kubectl(ctx, "delete", "operators.operators.coreos.com", "--ignore-not-found", "metallb-operator."+namespace)
	Eventually(func() []string { return more(before, everything(ctx)) }).WithContext(ctx).Should(BeEmpty())
}

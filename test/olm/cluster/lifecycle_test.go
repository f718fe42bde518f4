package cluster

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// first is the address of the Service of config/samples/demo, the pool's first.
const first = "10.0.0.10"

// lifecycle is what a user does, from the Subscription to the end.
func lifecycle() {
	installation()
	webhooks()
	upgrade()
	uninstallation()
}

// installation is also the measure of how long a user waits, who does one thing after the other as the guide says; it is reported and not judged.
func installation() {
	var began time.Time

	It("installs the version at the head of the channel", func(ctx SpecContext) {
		began = time.Now()
		Expect(manager.Subscribe(ctx)).To(Succeed())
		Expect(manager.WaitInstalled(ctx, manager.Previous())).To(Succeed())
		Expect(imagesOf(ctx, "control-plane=controller-manager")).To(ConsistOf(PreviousImage), "a real pod runs")
		AddReportEntry("from the Subscription to an installed version", time.Since(began).Round(time.Second).String())
	}, SpecTimeout(5*time.Minute))

	It("leads to a Service that a router knows and a client reaches, by the walk-through's objects", func(ctx SpecContext) {
		Expect(manager.ApplyKustomization(ctx, "config/samples/demo")).To(Succeed())
		Expect(manager.WaitAvailable(ctx)).To(Succeed())
		addresses, err := manager.Addresses(ctx, client.ObjectKey{Namespace: "onp-metallb", Name: "echoserver"}, 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(addresses).To(Equal([]string{first}))
		Eventually(nextHops(first)).WithContext(ctx).Should(Equal(nodes4()))
		Eventually(get(ctx, "http://"+first+":8080/")).WithContext(ctx).Should(ContainSubstring("host=echoserver"))
		AddReportEntry("from the Subscription to the first answer of a Service", time.Since(began).Round(time.Second).String())
	}, SpecTimeout(5*time.Minute))
}

func webhooks() {
	It("has the API server ask the operator about edits, with a certificate of OLM's", func(ctx SpecContext) {
		// The rule is one that no schema can hold: it takes two objects.
		Eventually(trying(ctx, overlapping)).WithContext(ctx).Should(MatchError(And(ContainSubstring("denied the request"), ContainSubstring("onp-bgp-pool"))),
			"the webhook's words arrive")
		var secret corev1.Secret
		Expect(manager.Client.Get(ctx, client.ObjectKey{Namespace: product.Namespace, Name: "metallb-operator-controller-manager-service-cert"}, &secret)).To(Succeed())
		block, _ := pem.Decode(secret.Data["tls.crt"])
		Expect(block).NotTo(BeNil())
		certificate, err := x509.ParseCertificate(block.Bytes)
		Expect(err).NotTo(HaveOccurred())
		Expect(certificate.Issuer.CommonName).To(HavePrefix("olm-selfsigned-"))
		Expect(operatorArguments(ctx)).To(ContainElement("--disable-cert-rotation"), "the operator makes none of its own")
	})

	It("serves BGPPeers in both versions", func(ctx SpecContext) {
		Expect(manager.Apply(ctx, oldPeer)).To(Succeed())
		var peer v1beta2.BGPPeer
		Expect(manager.Client.Get(ctx, client.ObjectKey{Namespace: product.Namespace, Name: "old"}, &peer)).To(Succeed())
		Expect(peer.Spec.PeerASN).To(BeEquivalentTo(64513))
		Expect(peer.Spec.PeerAddress).To(Equal("192.168.126.99"))
		Expect(kubectl(ctx, "get", "bgppeers.v1beta1.metallb.io", "--namespace", product.Namespace, "onp-bgp-peer", "-o", "jsonpath={.spec.peerAddress}")).To(Equal("192.168.126.3"))
		repeated := strings.NewReplacer("name: old", "name: repeated", "192.168.126.99", "192.168.126.3").Replace(oldPeer)
		Eventually(trying(ctx, repeated)).WithContext(ctx).Should(MatchError(And(ContainSubstring("denied the request"), ContainSubstring("onp-bgp-peer"))),
			"the webhook is asked about the old version, too")
	})
}

func upgrade() {
	It("upgrades to the next version when the catalog has it, and no request and no route is lost", func(ctx SpecContext) {
		Expect(manager.Apply(ctx, everywhere)).To(Succeed())
		Eventually(nextHops("10.0.0.11")).WithContext(ctx).Should(Equal(nodes4()))
		Eventually(get(ctx, "http://10.0.0.11/")).WithContext(ctx).Should(ContainSubstring("host=web-"))
		specs := configuration(ctx)
		Expect(manager.Apply(ctx, withLaterField)).NotTo(Succeed(), "the previous definition has no such field")

		asking := manager.Ask(lab.ClientName, netip.MustParseAddrPort("10.0.0.11:80"))
		DeferCleanup(func() { asking.Stop() })
		lost := withdrawals(ctx, func() {
			Expect(manager.Offer(ctx, true)).To(Succeed())
			Expect(manager.WaitInstalled(ctx, manager.Current())).To(Succeed())
			Eventually(func(g Gomega) {
				for _, part := range []string{"control-plane=controller-manager", "component=controller", "component=speaker"} {
					g.Expect(imagesOf(ctx, part)).NotTo(ContainElement(PreviousImage), part)
				}
				g.Expect(imagesOf(ctx, "component=speaker")).To(ContainElement(assets.ProgramsImage))
			}).WithContext(ctx).WithTimeout(4 * time.Minute).Should(Succeed())
			Expect(manager.WaitAvailable(ctx)).To(Succeed())
			established(ctx)
		})
		answers := asking.Stop()
		AddReportEntry("an upgrade, asking 10.0.0.11 through the router every 10 ms", answers.String())
		Expect(lost).To(BeEmpty(), "prefixes that the router had no route for")
		Expect(answers.Lost()).To(BeZero(), answers.String())

		Expect(configuration(ctx)).To(Equal(specs), "all configuration is as it was")
		Expect(manager.Apply(ctx, withLaterField)).To(Succeed(), "the definitions are the new version's")
		_, err := manager.CSV(ctx, manager.Previous())
		Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
		Expect(err).To(HaveOccurred(), "the version before is gone")
	}, SpecTimeout(10*time.Minute))

	It("still has edits judged after the upgrade, which renews the certificate", func(ctx SpecContext) {
		Eventually(trying(ctx, overlapping)).WithContext(ctx).WithTimeout(time.Minute).Should(MatchError(ContainSubstring("denied the request")),
			"OLM replaces the operator once more, for the certificate")
		Eventually(get(ctx, "http://"+first+":8080/")).WithContext(ctx).Should(ContainSubstring("host=echoserver"))
	})
}

func uninstallation() {
	It("is uninstalled as the guide says, and leaves nothing but what the guide says", func(ctx SpecContext) {
		By("deleting the MetalLB object")
		kubectl(ctx, "delete", "metallb", "--namespace", product.Namespace, "metallb", "--timeout=120s")
		Eventually(nextHops(first)).WithContext(ctx).Should(BeEmpty())
		Expect(imagesOf(ctx, "component=speaker")).To(BeEmpty())
		By("deleting Subscription and ClusterServiceVersion")
		kubectl(ctx, "delete", "subscription", "--namespace", product.Namespace, "metallb-operator-sub")
		kubectl(ctx, "delete", "csv", "--namespace", product.Namespace, "--selector", "operators.coreos.com/metallb-operator.metallb-system=")
		Eventually(func(g Gomega) { g.Expect(imagesOf(ctx, "control-plane=controller-manager")).To(BeEmpty()) }).WithContext(ctx).Should(Succeed())
		kubectl(ctx, "delete", "namespace", "onp-metallb", "web")
		AddReportEntry("what OLM leaves", strings.Join(more(before, everything(ctx)), "\n"))
		By("deleting what OLM leaves")
		kubectl(ctx, "delete", "role,rolebinding", "--namespace", product.Namespace, "metallb-operator", "metallb-operator-operands")
		kubectl(ctx, "delete", "clusterrole", "metallb-metrics-reader")
		kubectl(ctx, "delete", "rolebinding", "--namespace", "kube-system", "metallb-operator-controller-manager-service-auth-reader")
		kubectl(ctx, "delete", "crd", "--selector", "operators.coreos.com/metallb-operator.metallb-system=")
		kubectl(ctx, "delete", "namespace", product.Namespace)
		kubectl(ctx, "delete", "operators.operators.coreos.com", "metallb-operator.metallb-system")
		Eventually(func() []string { return more(before, everything(ctx)) }).WithContext(ctx).Should(BeEmpty())
	}, SpecTimeout(5*time.Minute))
}

// trying says what the API server would answer to objects.
func trying(ctx context.Context, yaml string) func() error {
	return func() error { return manager.Try(ctx, yaml) }
}

// imagesOf are those of the containers that run in the pods with a label, without doubles.
func imagesOf(ctx context.Context, label string) []string {
	GinkgoHelper()
	key, value, _ := strings.Cut(label, "=")
	var pods corev1.PodList
	Expect(manager.Client.List(ctx, &pods, client.InNamespace(product.Namespace), client.MatchingLabels{key: value})).To(Succeed())
	var all []string
	for _, pod := range pods.Items {
		for _, c := range pod.Spec.Containers {
			all = append(all, c.Image)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// operatorArguments are those of the operator's container.
func operatorArguments(ctx context.Context) []string {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(manager.Client.List(ctx, &pods, client.InNamespace(product.Namespace), client.MatchingLabels{"control-plane": "controller-manager"})).To(Succeed())
	Expect(pods.Items).NotTo(BeEmpty())
	return pods.Items[0].Spec.Containers[0].Args
}

// established waits until the router's sessions with all nodes are up, and both routes are there.
func established(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		sessions, err := manager.RouterSessions(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		for _, node := range nodes4() {
			g.Expect(sessions[node].Established).To(BeTrue(), node.String())
		}
	}).WithContext(ctx).Should(Succeed())
	Eventually(nextHops("10.0.0.11")).WithContext(ctx).Should(Equal(nodes4()))
}

// withdrawals are the prefixes of Services that the router's kernel had no route for at some time while act ran.
func withdrawals(ctx context.Context, act func()) []netip.Prefix {
	GinkgoHelper()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := manager.WatchRoutes(watching, lab.RouterName)
	Expect(err).NotTo(HaveOccurred())
	all := make(chan []netip.Prefix, 1)
	go func() {
		defer GinkgoRecover()
		var gone []netip.Prefix
		for event, err := range events {
			Expect(err).NotTo(HaveOccurred())
			if event.Deleted && event.Route.Protocol == netns.BGP {
				gone = append(gone, event.Route.Prefix)
			}
		}
		all <- gone
	}()
	act()
	stop()
	return <-all
}

// configuration is the identity and spec of every object that a user has written, by kind and name, as JSON.
func configuration(ctx context.Context) map[string]string {
	GinkgoHelper()
	specs := map[string]string{}
	for _, list := range []client.ObjectList{&v1beta1.IPAddressPoolList{}, &v1beta2.BGPPeerList{}, &v1beta1.BGPAdvertisementList{}, &v1beta1.MetalLBList{}} {
		Expect(manager.Client.List(ctx, list, client.InNamespace(product.Namespace))).To(Succeed())
		Expect(meta.LenList(list)).NotTo(BeZero())
		Expect(meta.EachListItem(list, func(o runtime.Object) error {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return err
			}
			object := &unstructured.Unstructured{Object: content}
			text, err := json.Marshal(content["spec"])
			specs[fmt.Sprintf("%T %s", o, object.GetName())] = fmt.Sprintf("%s %s", object.GetUID(), text)
			return err
		})).To(Succeed())
	}
	return specs
}

const (
	// overlapping has addresses of the walk-through's pool.
	overlapping = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: overlapping, namespace: metallb-system}
spec: {addresses: [10.0.0.20-10.0.0.30]}
`
	// oldPeer is a peer that is not there, in the deprecated version.
	oldPeer = `
apiVersion: metallb.io/v1beta1
kind: BGPPeer
metadata: {name: old, namespace: metallb-system}
spec: {peerAddress: 192.168.126.99, peerASN: 64513, myASN: 64512}
`
	// withLaterField sets what the previous version's definition does not have.
	withLaterField = `
apiVersion: metallb.io/v1beta1
kind: MetalLB
metadata: {name: metallb, namespace: metallb-system}
spec: {bgpDrain: {}}
`
	// everywhere is a Service with a pod on each node, which answers UDP, too.
	everywhere = `
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web, namespace: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: echo, image: "localhost/echo:dev", imagePullPolicy: Never, readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: web}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{name: tcp, port: 80, targetPort: 8080}, {name: udp, port: 80, targetPort: 8080, protocol: UDP}]
`
)

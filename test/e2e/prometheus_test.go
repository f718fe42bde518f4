package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/product"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

// prometheusAddress is where Prometheus answers, in the control plane's network.
const prometheusAddress = "127.0.0.1:9090"

// scrapes is what docs/monitoring.md says for a Prometheus without the Prometheus operator, but for how it finds the pods: Debian's is built without
// Kubernetes' service discovery.
const scrapes = `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%[1]s/rules.yaml]
scrape_configs:
  - job_name: metallb
    scheme: https
    tls_config: {insecure_skip_verify: true}
    authorization: {credentials_file: %[1]s/token}
    static_configs:
%[2]s`

// targets are the pods' ports that the documented configuration keeps, as static_configs.
func targets(ctx context.Context) string {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.Client.List(ctx, &pods, client.InNamespace(product.Namespace))).To(Succeed())
	var text strings.Builder
	for _, pod := range pods.Items {
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == "monitoring" || port.Name == "metrics" {
					fmt.Fprintf(&text, "      - {targets: [\"%s\"], labels: {namespace: %s, pod: %s}}\n",
						net.JoinHostPort(pod.Status.PodIP, fmt.Sprint(port.ContainerPort)), pod.Namespace, pod.Name)
				}
			}
		}
	}
	return text.String()
}

// watched runs Prometheus in the control plane's network until the spec ends, with the token of a ServiceAccount that may read metrics.
func watched(ctx context.Context) *prometheus.Instance {
	GinkgoHelper()
	kubectl(ctx, "create", "serviceaccount", "watcher", "--namespace", product.Namespace)
	DeferCleanup(func(ctx SpecContext) {
		kubectl(ctx, "delete", "serviceaccount", "watcher", "--namespace", product.Namespace)
	})
	kubectl(ctx, "create", "clusterrolebinding", "watcher", "--clusterrole=metallb-metrics-reader", "--serviceaccount="+product.Namespace+":watcher")
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "clusterrolebinding", "watcher") })
	token, err := cluster.Kubectl(ctx, "create", "token", "watcher", "--namespace", product.Namespace)
	Expect(err).NotTo(HaveOccurred())
	folder := GinkgoT().TempDir()
	for name, text := range map[string]string{
		"token": strings.TrimSpace(token), "rules.yaml": string(monitoring.RulesFile()), "prometheus.yaml": fmt.Sprintf(scrapes, folder, targets(ctx)),
	} {
		Expect(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)).To(Succeed())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	program, err := prometheus.Command(running, "prometheus", "--config.file="+filepath.Join(folder, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+prometheusAddress, "--log.level=warn")
	Expect(err).NotTo(HaveOccurred())
	there := exec.CommandContext(running, "nsenter", append([]string{"--net=" + netns.Path(cluster.Netns(lab.ControlPlaneName)), "--"}, program.Args...)...)
	there.Stdout, there.Stderr = GinkgoWriter, GinkgoWriter
	Expect(there.Start()).To(Succeed())
	DeferCleanup(func() {
		stop()
		_ = there.Wait() // it was killed
	})
	return prometheus.At(prometheusAddress, cluster.HTTPClient(lab.ControlPlaneName))
}

var _ = Describe("Prometheus", func() {
	It("reads all programs, and its alerts see a router that does not answer", func(ctx SpecContext) {
		const address, nobody = "203.0.113.226", "192.168.126.251"
		apply(ctx, documents(peering, web("n1"), pool("watched", address+"/32"), advertisement("watched", "watched", ""), echo("watched", "")))
		Eventually(nextHops(host(address))).Should(Equal(nodes4(1, 2)))
		apply(ctx, `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: nobody, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64599, peerAddress: `+nobody+`}
`)
		p := watched(ctx)
		says := func(expr string) func(Gomega) []string {
			return func(g Gomega) []string {
				found, err := p.Query(expr)
				g.Expect(err).NotTo(HaveOccurred())
				var values []string
				for _, s := range found {
					values = append(values, s.Value)
				}
				return values
			}
		}
		for expr, want := range map[string]string{
			`count(up{job="metallb"} == 1)`:                                                   fmt.Sprint(clusterNodes + 2), // and the controller and the operator
			`count(up{job="metallb"} == 0) or vector(0)`:                                      "0",
			`metallb_operator_condition{type="Available"}`:                                    "1",
			`metallb_allocator_addresses_in_use_total{pool="watched"}`:                        "1",
			`sum(metallb_bgp_announced_prefixes_total{peer=~"192.168.126.9:?.*"}) > bool 0`:   "1",
			`count(metallb_bgp_session_up{peer=~"192.168.126.9:?.*"} == 1)`:                   fmt.Sprint(nodes),
			`count(metallb_bgp_session_up{peer=~"` + nobody + `:?.*"} == 0)`:                  fmt.Sprint(clusterNodes),
			`count(ALERTS{alertname="MetalLBBGPSessionDown",peer=~"` + nobody + `:?.*"})`:     fmt.Sprint(clusterNodes),
			`count(ALERTS{alertname=~"MetalLBNotWatched|MetalLBReloadFailing"}) or vector(0)`: "0",
		} {
			Eventually(says(expr)).WithContext(ctx).WithTimeout(time.Minute).Should(Equal([]string{want}), expr)
		}
	}, SpecTimeout(5*time.Minute))
})

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// station is a host beside the nodes, with no router between.
const (
	station     = "station"
	stationHost = 8
)

// webs are pods that answer on every node.
func webs() string {
	var all []string
	for i := range clusterNodes {
		all = append(all, web(lab.NodeName(i+1)))
	}
	return documents(all...)
}

// l2advertisement is an L2Advertisement of one pool; more is further spec, in YAML's flow style, after a comma.
func l2advertisement(pool, more string) string {
	return fmt.Sprintf(`
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: %[1]s, namespace: metallb-system}
spec: {ipAddressPools: [%[1]s]%[2]s}
`, pool, more)
}

// echo is a Service with a pool of its own name whose pods answer HTTP and, on the same port, datagrams.
func echo(name, more string) string { return echoFrom(name, name, "", more) }

// echoFrom is the same with any pool and further annotations, in YAML's flow style, after a comma.
func echoFrom(name, pool, annotations, more string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: default, annotations: {metallb.io/address-pool: %s%s}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: echo, port: 80, protocol: UDP, targetPort: 8080}]%s}
`, name, pool, annotations, more)
}

// addressesOf waits for n addresses of a Service in the namespace default.
func addressesOf(ctx context.Context, name string, n int) []string {
	GinkgoHelper()
	addresses, err := cluster.Addresses(ctx, named(name), n)
	Expect(err).NotTo(HaveOccurred())
	return addresses
}

// listening is a tap on the segment until the spec (or container) ends. It must not have lost a frame.
func listening() *tap.Tap {
	GinkgoHelper()
	wire, err := cluster.Tap()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(wire.Close)
	return wire
}

// macIn finds a hardware address in what arping and ndisc6 print.
var macIn = regexp.MustCompile(`(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}`)

// answering asks from the station who has the address, as a person would, with arping or ndisc6, and waits a second for everybody to answer.
// It returns those who did, by name, or by hardware address where it is no machine's of the lab.
func answering(ctx context.Context, address string) func(Gomega) []string {
	return func(g Gomega) []string {
		command := []string{"arping", "-b", "-w", "1", "-I", "eth0", address}
		if strings.Contains(address, ":") {
			command = []string{"ndisc6", "-m", "-n", "-r", "1", "-w", "1000", address, "eth0"}
		}
		cmd, err := cluster.Command(ctx, station, command...)
		g.Expect(err).NotTo(HaveOccurred())
		said, err := cmd.Output() // both fail where nobody answers
		if len(said) == 0 {
			g.Expect(err).NotTo(HaveOccurred())
		}
		names := machinesByMAC(g)
		found := map[string]bool{}
		for _, mac := range macIn.FindAllString(string(said), -1) {
			name, known := names[strings.ToLower(mac)]
			if !known {
				name = strings.ToLower(mac)
			}
			found[name] = true
		}
		return slices.Sorted(maps.Keys(found))
	}
}

func machinesByMAC(g Gomega) map[string]string {
	names := map[string]string{}
	all, err := cluster.Lab.Status(context.Background())
	g.Expect(err).NotTo(HaveOccurred())
	for _, m := range all {
		if !m.On || m.Segment == (lab.Addresses{}) {
			continue
		}
		mac, err := cluster.MAC(m.Name)
		g.Expect(err).NotTo(HaveOccurred())
		names[mac] = m.Name
	}
	return names
}

// owner waits until exactly one machine answers for the address and returns its name.
func owner(ctx context.Context, address string) string {
	GinkgoHelper()
	var found []string
	Eventually(func(g Gomega) {
		found = answering(ctx, address)(g)
		g.Expect(found).To(HaveLen(1), "who answers for %s", address)
	}).WithContext(ctx).Should(Succeed())
	return found[0]
}

// others are the nodes besides one.
func others(node string) []string {
	var all []string
	for i := range clusterNodes {
		if name := lab.NodeName(i + 1); name != node {
			all = append(all, name)
		}
	}
	return all
}

// told are the nodes that ServiceL2Statuses name for a Service in the namespace default, sorted.
func told(ctx context.Context, service string) func(Gomega) []string {
	return func(g Gomega) []string {
		var all v1beta1.ServiceL2StatusList
		g.Expect(cluster.Client.List(ctx, &all, client.InNamespace(product.Namespace),
			client.MatchingLabels{"metallb.io/service-name": service, "metallb.io/service-namespace": "default"})).To(Succeed())
		var nodes []string
		for _, status := range all.Items {
			g.Expect(status.Status.ServiceName).To(Equal(service), "the status of %s is not written yet", status.Name)
			g.Expect(status.Labels).To(HaveKeyWithValue("metallb.io/node", status.Status.Node))
			nodes = append(nodes, status.Status.Node)
		}
		slices.Sort(nodes)
		return nodes
	}
}

// getFrom asks url from a machine.
func getFrom(machine, url string) func(Gomega, SpecContext) string {
	return func(g Gomega, ctx SpecContext) string {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		g.Expect(err).NotTo(HaveOccurred())
		response, err := cluster.HTTPClient(machine).Do(r)
		g.Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		g.Expect(err).NotTo(HaveOccurred())
		return string(body)
	}
}

// asking sends a datagram to port 80 of the address every 10 ms from the station, once that is answered, and returns what ends it and gives
// the account. The account is in the report, whether the spec fails or not.
func asking(ctx context.Context, address string) (stop func() asker.Answers) {
	GinkgoHelper()
	server := netip.AddrPortFrom(netip.MustParseAddr(address), 80)
	var a *asker.Asker
	Eventually(func(g Gomega) { // kube-proxy may still be writing its rules
		if a != nil {
			a.Stop()
		}
		a = cluster.Ask(station, server)
		began := time.Now()
		g.Eventually(func() int { return len(a.Answers()) }).WithContext(ctx).Should(BeNumerically(">", 20))
		g.Expect(a.Answers().Since(began).Lost()).To(BeZero())
	}).WithContext(ctx).Should(Succeed())
	DeferCleanup(func() { a.Stop() })
	return func() asker.Answers {
		all := a.Stop()
		AddReportEntry("asking "+address, all.String())
		return all
	}
}

// kill ends the speaker on a node without a warning and returns when that was done.
func kill(ctx context.Context, node string) time.Time {
	GinkgoHelper()
	began := time.Now()
	_, err := cluster.Exec(ctx, node, "pkill", "-KILL", "-x", "speaker")
	Expect(err).NotTo(HaveOccurred())
	return began
}

// takeOver waits until a machine other than the given one has announced the address after began, and reports how long that took.
func takeOver(ctx context.Context, wire *tap.Tap, address, from string, began time.Time) {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, takeOverLimit)
	defer cancel()
	m, err := wire.Wait(ctx, func(m tap.Message) bool {
		return m.Time.After(began) && m.Machine != from && m.Gratuitous() && m.Claims(netip.MustParseAddr(address))
	})
	Expect(err).NotTo(HaveOccurred(), "nobody took %s over from %s", address, from)
	AddReportEntry("take-over", fmt.Sprintf("%s from %s by %s after %s", address, from, m.Machine, m.Time.Sub(began).Round(time.Millisecond)))
}

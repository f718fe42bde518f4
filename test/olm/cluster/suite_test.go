package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// nodes is how many the lab has: with two, a route has another way while one is replaced.
const nodes = 2

var manager *Manager

func TestOLM(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "The package in the hands of OLM")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	say := func(format string, args ...any) { fmt.Fprintf(GinkgoWriter, format+"\n", args...) }
	down := func(ctx SpecContext) { Expect(lab.Down(ctx, "", prefix, say)).To(Succeed()) }
	down(ctx) // what a run left that was killed
	DeferCleanup(down, NodeTimeout(2*time.Minute))
	var err error
	manager, err = Up(ctx, lab.Options{Prefix: prefix, Nodes: nodes, Progress: say})
	Expect(err).NotTo(HaveOccurred())
	Expect(manager.Offer(ctx, false)).To(Succeed())
	before = everything(ctx)
}, NodeTimeout(30*time.Minute))

// prefix names the lab.
const prefix = "olm"

// before is what there was before the first Subscription, and what there is to be after the last.
var before map[string]bool

// The order is that of the catalog, which has the next version from some time on.
var _ = Describe("OLM", func() {
	Describe("An installation", Ordered, misfits)
	Describe("A Subscription in another namespace", Ordered, elsewhere)
	Describe("A Subscription", Ordered, lifecycle)
})

var _ = JustAfterEach(func(ctx SpecContext) {
	if !CurrentSpecReport().Failed() || manager == nil {
		return
	}
	for _, look := range [][]string{
		{"get", "pods,jobs,deployments,daemonsets,catalogsources,subscriptions,installplans,clusterserviceversions,operatorgroups,events", "--all-namespaces", "-o", "wide"},
		{"get", "subscriptions,installplans,clusterserviceversions", "--namespace", product.Namespace, "-o", "jsonpath={range .items[*]}{.kind} {.metadata.name}: {.status}{\"\\n\"}{end}"},
		{"logs", "--namespace", managerNamespace, "deployment/catalog-operator", "--tail=60"},
		{"logs", "--namespace", managerNamespace, "deployment/olm-operator", "--tail=60"},
		{"logs", "--namespace", product.Namespace, "deployment/metallb-operator-controller-manager", "--tail=60"},
	} {
		text, err := manager.Kubectl(ctx, look...)
		AddReportEntry(fmt.Sprint("kubectl ", look), fmt.Sprint(text, err), ReportEntryVisibilityFailureOrVerbose)
	}
})

// kubectl runs kubectl, which must succeed, and returns what it printed.
func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	text, err := manager.Kubectl(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
	return text
}

// get asks url from the client behind the router.
func get(ctx context.Context, url string) func(Gomega) string {
	return func(g Gomega) string {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		g.Expect(err).NotTo(HaveOccurred())
		response, err := manager.HTTPClient(lab.ClientName).Do(r)
		g.Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		g.Expect(err).NotTo(HaveOccurred())
		return string(text)
	}
}

// nextHops are the addresses to which the router's kernel sends packets for an address.
func nextHops(address string) func(Gomega) []netip.Addr {
	return func(g Gomega) []netip.Addr {
		routes, err := manager.Routes(lab.RouterName)
		g.Expect(err).NotTo(HaveOccurred())
		for _, r := range routes {
			if r.Prefix == netip.MustParsePrefix(address+"/32") {
				return r.NextHops
			}
		}
		return nil
	}
}

// nodes4 are the IPv4 addresses of all nodes.
func nodes4() []netip.Addr {
	var all []netip.Addr
	for i := range nodes {
		all = append(all, lab.NodeAddresses(i+1).IPv4)
	}
	return all
}

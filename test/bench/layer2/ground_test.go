package layer2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

const (
	// configuration has a pool on the segment for what the client asks, and others for addresses that only the switch hears of.
	configuration = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: asked, namespace: metallb-system}
spec: {addresses: [192.168.126.200-192.168.126.239], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: many, namespace: metallb-system}
spec: {addresses: [10.30.0.0/16]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: single, namespace: metallb-system}
spec: {addresses: [10.31.0.0/16, "fd00:31::/112"], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: balanced, namespace: metallb-system}
spec: {addresses: [10.32.0.0/24], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: hash, namespace: metallb-system}
spec: {ipAddressPools: [asked, many, single]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: balanced, namespace: metallb-system}
spec: {ipAddressPools: [balanced], placement: Balanced}
`
	// server is what the client asks, on a node that keeps running, as a pod and, beside, by the node's own address.
	server = `
apiVersion: v1
kind: Pod
metadata: {name: echo, namespace: default, labels: {app: echo}}
spec:
  nodeName: %[1]s
  containers:
  - {name: echo, image: "localhost/echo:dev", imagePullPolicy: Never, env: [{name: NODE, value: %[1]s}], readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Pod
metadata: {name: beside, namespace: default}
spec:
  nodeName: %[1]s
  hostNetwork: true
  containers:
  - {name: echo, image: "localhost/echo:dev", imagePullPolicy: Never, args: [":%[2]d"]}
---
apiVersion: v1
kind: Service
metadata: {name: asked, namespace: default, annotations: {metallb.io/loadBalancerIPs: %[3]s}}
spec: {type: LoadBalancer, selector: {app: echo}, ports: [{port: 80, targetPort: 8080, protocol: UDP}]}
`
	// besidePort is where the node itself answers the client.
	besidePort = 8099
	// patience is for what should take seconds; it is wrong, not slow, when it takes longer.
	patience = 90 * time.Second
)

// ground is the product at work on a segment, a client that asks for one address, and the switch that hears everything.
type ground struct {
	*product.Product
	ctx     context.Context
	client  kubernetes.Interface
	objects *bench.Workload
	wire    *tap.Tap
	nodes   []string
	// address is what the client asks for, home the node that answers while nothing is wrong; its endpoint is on another.
	address netip.Addr
	home    string
}

// bringUp brings a lab up with the product in it, until the benchmark ends.
func bringUp(b *testing.B, prefix string, nodes int) *ground {
	b.Helper()
	g := &ground{}
	ctx, cancel := context.WithCancel(interrupted)
	b.Cleanup(cancel)
	g.ctx = ctx
	l, err := lab.Up(ctx, lab.Options{Prefix: prefix, Nodes: nodes, Progress: say})
	must(b, err) // what is up under this name is somebody else's
	b.Cleanup(func() {
		clean, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer done()
		cancel()
		if err := errors.Join(g.close(clean, b.Failed()), lab.Down(clean, "", prefix, say)); err != nil {
			b.Error(err)
		}
	})
	say("installing the product")
	g.Product, err = product.In(l)
	must(b, err)
	for i := range nodes {
		g.nodes = append(g.nodes, lab.NodeName(i+1))
	}
	must(b, g.Install(ctx))
	must(b, g.Apply(ctx, configuration))
	config, err := g.Config()
	must(b, err)
	g.client, err = kubernetes.NewForConfig(config)
	must(b, err)
	g.objects, err = bench.NewWorkload(ctx, g.client)
	must(b, err)
	g.wire, err = g.Tap()
	must(b, err)
	must(b, g.serve())
	return g
}

// close ends listening, and says what the product logged where something failed.
func (g *ground) close(ctx context.Context, failed bool) error {
	if failed && g.Product != nil {
		text, err := g.Kubectl(ctx, "logs", "--namespace", product.Namespace, "--selector", "app=metallb", "--all-containers", "--prefix", "--tail=60")
		say("the product's logs: %s %v", text, err)
	}
	if g.wire == nil {
		return nil
	}
	return g.wire.Close()
}

// serve makes the Service that the client asks, at home on a node without anything that the benchmark needs, and waits until it answers.
func (g *ground) serve() error {
	ctx, cancel := context.WithTimeout(g.ctx, patience)
	defer cancel()
	needed := map[string]bool{}
	pods, err := g.client.CoreV1().Pods(product.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "component!=speaker"})
	if err != nil {
		return fmt.Errorf("list the product's pods: %w", err)
	}
	for _, p := range pods.Items {
		needed[p.Spec.NodeName] = true
	}
	i := slices.IndexFunc(g.nodes, func(n string) bool { return !needed[n] })
	if i < 0 {
		return fmt.Errorf("every one of the nodes %v has the controller or the operator", g.nodes)
	}
	g.home = g.nodes[i]
	endpoint := g.nodes[(i+1)%len(g.nodes)]
	for g.address = netip.MustParseAddr("192.168.126.200"); HomeOf(g.address, g.nodes) != g.home; {
		g.address = g.address.Next()
	}
	begin := time.Now()
	if err := g.Apply(ctx, fmt.Sprintf(server, endpoint, besidePort, g.address)); err != nil {
		return err
	}
	if _, err := g.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "pod", "--all"); err != nil {
		return err
	}
	m, err := g.announced(ctx, g.address, begin, "")
	if err != nil {
		return err
	}
	if m.Machine != g.home {
		return fmt.Errorf("%s is announced by %s, by its hash it should be by %s", g.address, m.Machine, g.home)
	}
	asking := g.Ask(lab.ClientName, g.asked())
	defer asking.Stop()
	return product.Eventually(ctx, patience, func(context.Context) error {
		if all := asking.Answers(); len(all) < 20 || all[len(all)-20:].Lost() > 0 {
			return fmt.Errorf("%s does not answer steadily yet: %s", g.address, all)
		}
		return nil
	})
}

func (g *ground) asked() netip.AddrPort { return netip.AddrPortFrom(g.address, 80) }

// besides is where a node answers the client by itself, whatever happens to the address.
func (g *ground) besides() netip.AddrPort {
	i := slices.Index(g.nodes, g.home) + 1
	return netip.AddrPortFrom(lab.NodeAddresses(i%len(g.nodes)+1).IPv4, besidePort)
}

// announced waits until somebody announces the address after that time: a machine other than the one named, where one is.
func (g *ground) announced(ctx context.Context, address netip.Addr, since time.Time, other string) (tap.Message, error) {
	return g.wire.Wait(ctx, func(m tap.Message) bool {
		return m.Gratuitous() && m.Claims(address) && m.Machine != other && !m.Time.Before(since)
	})
}

// handover acts and waits until another node than from announces what the client asks.
func (g *ground) handover(from string, act func(ctx context.Context) error) (Handover, error) {
	ctx, cancel := context.WithTimeout(g.ctx, patience)
	defer cancel()
	h := Handover{Address: g.address, From: from, Begin: time.Now()}
	if err := act(ctx); err != nil {
		return h, err
	}
	return h, g.taken(ctx, &h)
}

// taken waits until another node than before announces the address, and watches for a moment longer.
func (g *ground) taken(ctx context.Context, h *Handover) error {
	m, err := g.announced(ctx, h.Address, h.Begin, h.From)
	if err != nil {
		return fmt.Errorf("nobody has taken %s from %s: %w", h.Address, h.From, err)
	}
	h.First, h.To = m.Time, m.Machine
	err = sleep(ctx, 500*time.Millisecond)
	h.End = time.Now()
	return err
}

// back waits until the node where the address is at home has it again, by itself or after an act.
func (g *ground) back(before Handover, act func(ctx context.Context) error) (Handover, error) {
	ctx, cancel := context.WithTimeout(g.ctx, patience)
	defer cancel()
	h := Handover{Address: g.address, From: before.To, Begin: before.First}
	if act != nil {
		h.Begin = time.Now()
		if err := act(ctx); err != nil {
			return h, err
		}
	}
	err := g.taken(ctx, &h)
	if err == nil && h.To != g.home {
		err = fmt.Errorf("%s went from %s to %s, and not back to %s", g.address, h.From, h.To, g.home)
	}
	return h, err
}

// patchNode merges a patch into a node; a subresource may be named.
func (g *ground) patchNode(node, patch string, subresources ...string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := g.client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
		if err != nil {
			return fmt.Errorf("patch node %s: %w", node, err)
		}
		return nil
	}
}

// excluded is a patch that adds or removes the label by which a node gives its addresses to others.
func excluded(yes bool) string {
	value := "null"
	if yes {
		value = `""`
	}
	return fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, corev1.LabelNodeExcludeBalancers, value)
}

// quiet waits until nobody has announced anything unasked for that long.
func (g *ground) quiet(b *testing.B, d time.Duration) []tap.Message {
	b.Helper()
	begin := time.Now()
	var messages []tap.Message
	must(b, product.Eventually(g.ctx, patience, func(context.Context) error {
		messages = g.wire.Messages()
		last := begin
		for _, m := range slices.Backward(messages) {
			if m.Gratuitous() {
				last = m.Time
				break
			}
		}
		if since := time.Since(last); since < d {
			return fmt.Errorf("the last announcement is only %s old", since)
		}
		return nil
	}))
	return messages
}

// writes are what changed at the API server, without the heartbeats of nodes and leaders, and without what kubelets say of pods and the
// controller manager tidies up after Services.
func (g *ground) writes(b *testing.B) bench.Writes {
	b.Helper()
	w, err := bench.ReadWrites(g.ctx, g.client)
	must(b, err)
	for what := range w {
		if _, resource, _ := strings.Cut(what, " "); resource == "leases" || resource == "endpoints" || resource == "pods/status" || strings.HasPrefix(resource, "nodes") {
			delete(w, what)
		}
	}
	return w
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

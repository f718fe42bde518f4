package layer2

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/test/product"
)

// avoiding is the MetalLB object whose speakers leave nodes in a bad state alone.
const avoiding = `
apiVersion: metallb.io/v1beta1
kind: MetalLB
metadata: {name: metallb, namespace: metallb-system}
spec: {layer2ExcludeNodes: [NotReady, OutOfService, Unschedulable]}
`

// moved measures how an address goes to another node by a change of its node, and back by another.
func (g *ground) moved(b *testing.B, name, what string, times int, away, home func(ctx context.Context) error) {
	b.Helper()
	c := g.startClient()
	var gone, back []Handover
	for range times {
		h, err := g.handover(g.home, away)
		must(b, err)
		gone = append(gone, h)
		h, err = g.back(h, home)
		must(b, err)
		back = append(back, h)
	}
	asked, beside := c.stop()
	first(b, name, what+" → another node's first packet", samples(gone), "")
	all := append(gone, back...)
	seen(what+", and back", asked, beside, windows(all))
	g.alone(what+", and back", all)
}

// labelled moves the address by the label that excludes a node.
func (g *ground) labelled(b *testing.B, times int) {
	b.Helper()
	say("%s", b.Name())
	writes := g.writes(b)
	g.moved(b, "Label", "node excluded by label", times, g.patchNode(g.home, excluded(true)), g.patchNode(g.home, excluded(false)))
	g.reportWrites(b, "one address: its node is excluded by label, and back", writes, 2*times)
}

// impaired lets the speakers avoid nodes in a bad state, which restarts them, and puts the node into each state.
func (g *ground) impaired(b *testing.B, times int) {
	b.Helper()
	say("%s", b.Name())
	g.rolled(b, "all speakers replaced one by one (MetalLB object changed)", 1, func(ctx context.Context) error {
		if err := g.Apply(ctx, avoiding); err != nil {
			return err
		}
		return product.Eventually(ctx, patience, func(ctx context.Context) error {
			args, err := g.Kubectl(ctx, "get", "daemonset/speaker", "--namespace", product.Namespace, "-o", "jsonpath={.spec.template.spec.containers[*].args}")
			if err == nil && !strings.Contains(args, "exclude-nodes") {
				err = fmt.Errorf("the speakers have no word of nodes to avoid: %s", args)
			}
			return err
		})
	})
	condition := func(status corev1.ConditionStatus) string {
		return fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q}]}}`, status)
	}
	g.moved(b, "NotReady", "node not Ready", times,
		g.patchNode(g.home, condition(corev1.ConditionUnknown), "status"), g.patchNode(g.home, condition(corev1.ConditionTrue), "status"))
	taint := fmt.Sprintf(`{"spec":{"taints":[{"key":%q,"value":"nodeshutdown","effect":"NoSchedule"}]}}`, corev1.TaintNodeOutOfService)
	g.moved(b, "OutOfService", "node tainted out-of-service", times, g.patchNode(g.home, taint), g.patchNode(g.home, `{"spec":{"taints":null}}`))
	g.moved(b, "Cordoned", "node cordoned", times, g.patchNode(g.home, `{"spec":{"unschedulable":true}}`), g.patchNode(g.home, `{"spec":{"unschedulable":false}}`))
}

// rolled measures what the client sees while all speakers are replaced, one after the other.
func (g *ground) rolled(b *testing.B, what string, times int, begin func(ctx context.Context) error) {
	b.Helper()
	say("%s", b.Name())
	c := g.startClient()
	var all []window
	for range times {
		ctx, cancel := context.WithTimeout(g.ctx, 3*time.Minute)
		w := window{begin: time.Now()}
		must(b, begin(ctx))
		must(b, g.WaitUpdated(ctx))
		must(b, g.settled(ctx))
		w.end = time.Now()
		cancel()
		all = append(all, w)
	}
	asked, beside := c.stop()
	seen(what, asked, beside, all)
	b.Run("Client", func(b *testing.B) { b.ReportMetric(float64(asked.Lost()), "lost"); b.ReportMetric(0, "ns/op") })
}

// restart replaces the speakers as kubectl does.
func (g *ground) restart(ctx context.Context) error {
	_, err := g.Kubectl(ctx, "rollout", "restart", "--namespace", product.Namespace, "daemonset/speaker")
	return err
}

// settled waits until the address is at home again.
func (g *ground) settled(ctx context.Context) error {
	return product.Eventually(ctx, patience, func(context.Context) error {
		if now := Owners(g.wire.Messages())[g.address]; now != g.home {
			return fmt.Errorf("%s is at %s, not yet at %s again", g.address, now, g.home)
		}
		return nil
	})
}

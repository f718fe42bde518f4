package layer2

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// single is the Service that comes and goes.
const single = "single"

// created measures from the request that creates a Service to the first packet that says who has its address, also as multiple of that request: it
// tells a slow machine from a slow product. next gives each Service its address.
func (g *ground) created(b *testing.B, name, what string, next func(i int) string, six bool) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		var created, took bench.Samples
		for i := 0; b.Loop(); i++ {
			c, d, err := g.comeAndGo(next(i), six)
			must(b, err)
			created, took = append(created, c), append(took, d)
		}
		report.Durations(firstTitle, what, took, createdTarget)
		report.Value(valuesTitle, what+", as multiple of the request that creates it", bench.Ratio(took.Median(), created.Median()), createdRatioTarget)
		b.ReportMetric(float64(took.Median())/float64(time.Millisecond), "median-ms")
		b.ReportMetric(0, "ns/op")
	})
}

// comeAndGo returns how long the request took that created a Service with the address, and how long from its begin to the first packet.
func (g *ground) comeAndGo(address string, six bool) (created, packet time.Duration, err error) {
	ctx, cancel := context.WithTimeout(g.ctx, patience)
	defer cancel()
	begin := time.Now()
	if err := g.objects.Create(ctx, single, bench.Kind{Address: address, IPv6: six}); err != nil {
		return 0, 0, err
	}
	created = time.Since(begin)
	m, err := g.announced(ctx, netip.MustParseAddr(address), begin, "")
	if err != nil {
		return 0, 0, fmt.Errorf("nobody announces %s: %w", address, err)
	}
	if err := sleep(ctx, 100*time.Millisecond); err != nil {
		return 0, 0, err
	}
	if err := g.objects.Delete(ctx, single); err != nil {
		return 0, 0, err
	}
	if err := g.objects.Gone(ctx); err != nil {
		return 0, 0, err
	}
	return created, m.Time.Sub(begin), sleep(ctx, 100*time.Millisecond)
}

// ended measures how another node takes over from a speaker that is killed, and from one that is stopped in order. Both are done to the same
// process's node in turn, with a new pod after each two: kubelet restarts a container at once only the first time.
func (g *ground) ended(b *testing.B, nodes string, times int) {
	b.Helper()
	say("%s", b.Name())
	c := g.startClient()
	var killed, stopped, returned []Handover
	for range times {
		before, err := g.ready(g.home)
		must(b, err)
		k, err := g.handover(g.home, g.signal(b, syscall.SIGKILL))
		must(b, err)
		r, err := g.back(k, nil)
		must(b, err)
		s, err := g.handover(g.home, g.signal(b, syscall.SIGTERM))
		must(b, err)
		must(b, g.deletePod(before))
		again, err := g.back(s, nil)
		must(b, err)
		killed, stopped, returned = append(killed, k), append(stopped, s), append(returned, r, again)
	}
	asked, beside := c.stop()
	first(b, "Killed", nodes+": speaker killed (SIGKILL) → another node's first packet", samples(killed), killedTarget)
	first(b, "Stopped", nodes+": speaker stopped (SIGTERM) → another node's first packet", samples(stopped), "")
	seen(nodes+": speaker killed", asked, beside, windows(killed))
	seen(nodes+": speaker stopped (SIGTERM)", asked, beside, windows(stopped))
	seen(nodes+": its node takes the address back", asked, beside, windows(returned))
	g.alone(nodes+": killed, stopped and back", append(append(killed, stopped...), returned...))
}

// ready waits until the speaker on a node says that it is, and returns the name of its pod.
func (g *ground) ready(node string) (name string, err error) {
	err = product.Eventually(g.ctx, patience, func(ctx context.Context) error {
		pod, err := g.SpeakerPod(ctx, node)
		if err != nil {
			return err
		}
		name = pod.Name
		for _, s := range pod.Status.ContainerStatuses {
			if !s.Ready {
				return fmt.Errorf("container %s of %s is not ready", s.Name, pod.Name)
			}
		}
		if len(pod.Status.ContainerStatuses) == 0 {
			return fmt.Errorf("pod %s has no containers yet", pod.Name)
		}
		return nil
	})
	return name, err
}

// signal sends a signal to the speaker where the address is at home. The process is looked for before, as that takes time.
func (g *ground) signal(b *testing.B, signal syscall.Signal) func(ctx context.Context) error {
	b.Helper()
	pid, err := bench.FindProcess(g.Prefix(), g.home, "speaker")
	must(b, err)
	return func(context.Context) error {
		if err := syscall.Kill(pid, signal); err != nil {
			return fmt.Errorf("send %s to the speaker of %s: %w", signal, g.home, err)
		}
		return nil
	}
}

// deletePod deletes a pod whose speaker has ended already; the rest of it gets a second.
func (g *ground) deletePod(name string) error {
	if err := g.client.CoreV1().Pods(product.Namespace).Delete(g.ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))}); err != nil {
		return fmt.Errorf("delete pod %s: %w", name, err)
	}
	return nil
}

// poweredOff measures how long nobody answers the client when the node that did loses power.
func (g *ground) poweredOff(b *testing.B, times int) {
	b.Helper()
	say("%s", b.Name())
	c := g.startClient()
	var off, on []Handover
	for range times {
		_, err := g.ready(g.home)
		must(b, err)
		h, err := g.handover(g.home, func(ctx context.Context) error { return g.PowerOff(ctx, g.home) })
		must(b, err)
		must(b, product.Eventually(g.ctx, patience, func(context.Context) error {
			h.End = time.Now()
			if since := c.asked.Answers().Since(h.First); len(since) == since.Lost() {
				return fmt.Errorf("the client is not answered again by %s: %s", h.To, since)
			}
			return nil
		}))
		off = append(off, h)
		h, err = g.back(h, func(ctx context.Context) error { return g.Boot(ctx, g.home) })
		must(b, err)
		on = append(on, h)
	}
	asked, beside := c.stop()
	var silences bench.Samples
	for _, h := range off {
		silences = append(silences, within(asked, h.Begin, h.End).Silence())
	}
	first(b, "FirstPacket", "node powered off → another node's first packet", samples(off), "")
	first(b, "ClientAnswered", "node powered off → client answered again", silences, powerTarget)
	seen("node powered off", asked, beside, windows(off))
	seen("it is on again, and takes the address back", asked, beside, windows(on))
	g.alone("powered off and on", append(off, on...))
}

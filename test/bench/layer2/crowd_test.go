package layer2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

const (
	// silence is longer than the pauses between the announcements of one address.
	silence = 1500 * time.Millisecond
	// rest is how long nothing may be written.
	rest = 10 * time.Second
)

// crowd measures many addresses at once: how they are spread, and that when their node leaves and returns, nobody speaks of any other. What is
// written meanwhile is counted, too.
func (g *ground) crowd(b *testing.B, what string, n int, kind func(i int) bench.Kind, spread func(loads map[string]int), leave, back turn) {
	b.Helper()
	say("%s", b.Name())
	begin := time.Now()
	must(b, g.objects.Prepare(g.ctx, n))
	b.Cleanup(func() { must(b, errors.Join(g.objects.DeleteMany(g.ctx, n), g.objects.Gone(g.ctx))) })
	must(b, g.objects.CreateEach(g.ctx, n, kind))
	before := g.owned(b, begin, n)
	spread(Loads(before))
	g.told(b, n)
	g.atRest(b, what)
	owned := Loads(before)[g.home]
	writes := g.writes(b)
	without := g.turned(b, what+": "+leave.what, before, owned, leave.act, func(now map[netip.Addr]string) error {
		if left := Loads(now)[g.home]; left > 0 {
			return fmt.Errorf("%s still has %d addresses", g.home, left)
		}
		return nil
	})
	g.reportWrites(b, what+": "+leave.what, writes, owned+1) // the one that the client asks for moves, too
	g.turned(b, what+": "+back.what, without, owned, back.act, func(now map[netip.Addr]string) error {
		if !maps.Equal(now, before) {
			return errors.New("the addresses are not where they were before")
		}
		return nil
	})
	b.Run("Addresses", func(b *testing.B) { b.ReportMetric(float64(n), "addresses"); b.ReportMetric(0, "ns/op") })
}

// turn is an act by which the node where the address is at home leaves, or returns.
type turn struct {
	what string
	act  func(ctx context.Context) error
}

// owned waits until n addresses are announced and nothing more is said, and returns by whom.
func (g *ground) owned(b *testing.B, since time.Time, n int) map[netip.Addr]string {
	b.Helper()
	var owners map[netip.Addr]string
	must(b, product.Eventually(g.ctx, 3*time.Minute, func(context.Context) error {
		owners = g.crowdOwners(since)
		if len(owners) != n {
			return fmt.Errorf("%d of %d addresses are announced", len(owners), n)
		}
		return nil
	}))
	g.quiet(b, silence)
	return g.crowdOwners(since)
}

// crowdOwners are the owners of what was announced since, without what the client asks for.
func (g *ground) crowdOwners(since time.Time) map[netip.Addr]string {
	owners := Owners(after(g.wire.Messages(), since))
	delete(owners, g.address)
	return owners
}

// after are the messages that came after a time.
func after(messages []tap.Message, begin time.Time) []tap.Message {
	for i, m := range messages {
		if m.Time.After(begin) {
			return messages[i:]
		}
	}
	return nil
}

// told waits until as many status objects as Services exist, which are written at a modest rate.
func (g *ground) told(b *testing.B, n int) {
	b.Helper()
	must(b, product.Eventually(g.ctx, 3*time.Minute, func(ctx context.Context) error {
		var list v1beta1.ServiceL2StatusList
		if err := g.Client.List(ctx, &list); err != nil {
			return err
		}
		found := 0
		for _, s := range list.Items {
			if s.Status.ServiceNamespace == "bench" && s.Status.Node != "" {
				found++
			}
		}
		if found != n {
			return fmt.Errorf("%d of %d Services have a ServiceL2Status", found, n)
		}
		return nil
	}))
}

// atRest counts what is written while nothing happens; nothing should be.
func (g *ground) atRest(b *testing.B, what string) {
	b.Helper()
	g.unwritten(b) // the last events are on their way
	before, heard := g.writes(b), time.Now()
	must(b, sleep(g.ctx, rest))
	writes, sum := g.writes(b).Since(before), 0
	for request, n := range writes.Sorted() {
		sum += n
		say("%s, at rest: %d times %s", what, n, request)
	}
	said := 0
	for _, m := range after(g.wire.Messages(), heard) {
		if m.Gratuitous() {
			said++
		}
	}
	report.Value(writesTitle, fmt.Sprintf("%s, at rest for %s: all", what, rest), fmt.Sprint(sum), "0")
	report.Value(valuesTitle, fmt.Sprintf("%s, at rest for %s: announcements", what, rest), fmt.Sprint(said), "0")
}

// turned acts, waits until the addresses are where they should be then, and reports who said what.
func (g *ground) turned(b *testing.B, what string, before map[netip.Addr]string, owned int, act func(ctx context.Context) error,
	done func(now map[netip.Addr]string) error,
) map[netip.Addr]string {
	b.Helper()
	begin := time.Now()
	must(b, act(g.ctx))
	must(b, product.Eventually(g.ctx, patience, func(context.Context) error {
		now := maps.Clone(before)
		maps.Copy(now, g.crowdOwners(begin))
		return done(now)
	}))
	heard := after(g.quiet(b, silence), begin)
	now := maps.Clone(before)
	maps.Copy(now, g.crowdOwners(begin))
	e := g.echoes(heard, before, now)
	report.Value(valuesTitle, what+": addresses that move, of those that it has", fmt.Sprintf("%d of %d", e.moved, owned), fmt.Sprint(owned))
	report.Value(valuesTitle, what+": until the last of them is announced, ms", bench.Milliseconds(e.last.Sub(begin)), "")
	report.Value(valuesTitle, what+": announcements of them", fmt.Sprint(e.moving), "")
	report.Value(valuesTitle, what+": announcements of others", fmt.Sprint(e.others), "0")
	if e.others > 0 {
		b.Errorf("%s: %d announcements of addresses that did not move", what, e.others)
	}
	return now
}

// echoes is what was said of addresses when some of them went elsewhere: how many did, how often they were announced and the others were, and
// when the last of those that went was announced for the first time.
type echoes struct {
	moved, moving, others int
	last                  time.Time
}

func (g *ground) echoes(messages []tap.Message, before, now map[netip.Addr]string) (e echoes) {
	for address, owner := range now {
		if before[address] != owner {
			e.moved++
		}
	}
	first := map[netip.Addr]bool{}
	for _, m := range messages {
		address, _ := m.Claim()
		switch {
		case !m.Gratuitous() || address == g.address:
		case before[address] == now[address]:
			e.others++
		default:
			e.moving++
			if !first[address] {
				first[address], e.last = true, m.Time
			}
		}
	}
	return e
}

// reportWrites waits until what was changed is written, and reports the requests for each of the moves.
func (g *ground) reportWrites(b *testing.B, what string, before bench.Writes, moves int) {
	b.Helper()
	for request, n := range g.unwritten(b).Since(before).Sorted() {
		report.Value(writesTitle, fmt.Sprintf("%s: %s for each of %d moves", what, request, moves), fmt.Sprintf("%.2f", float64(n)/float64(max(moves, 1))), "")
	}
}

// unwritten waits until nothing has been written for two seconds and returns what was written until then.
func (g *ground) unwritten(b *testing.B) bench.Writes {
	b.Helper()
	now := g.writes(b)
	must(b, product.Eventually(g.ctx, 3*time.Minute, func(ctx context.Context) error {
		earlier := now
		if err := sleep(ctx, 2*time.Second); err != nil {
			return err
		}
		now = g.writes(b)
		if fresh := now.Since(earlier); len(fresh) > 0 {
			return fmt.Errorf("still written: %v", fresh)
		}
		return nil
	}))
	return now
}

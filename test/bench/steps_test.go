package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// hostPrefix is what is announced of an address.
func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// single is the Service that comes and goes while others stay.
const single = "single"

// floorPrefix is what FRR's own floor is measured with.
var floorPrefix = netip.MustParsePrefix("10.99.0.1/32")

// passage is when a Service got how far.
type passage struct {
	// begin is before the request to create it, created when the API server answered, addressed when its status was seen with an address.
	begin, created, addressed time.Time
	// taken is when the reloader took up the configuration with its prefix, applied when FRR was found to run it.
	taken, applied time.Time
	// routed is when the router's kernel had the route.
	routed time.Time
	prefix netip.Prefix
}

// within is the time that a single act may take; it is wrong, not slow, when it takes longer.
const within = 90 * time.Second

// add makes the single Service and follows it to the router.
func (s *scene) add(k Kind) (passage, error) {
	ctx, cancel := context.WithTimeout(s.ctx, within)
	defer cancel()
	if err := s.log.Skip(); err != nil {
		return passage{}, err
	}
	p := passage{begin: time.Now()}
	if err := s.objects.Create(ctx, single, k); err != nil {
		return p, err
	}
	p.created = time.Now()
	at, err := s.addresses.Of(ctx, single)
	if err != nil {
		return p, err
	}
	p.addressed, p.prefix = at.Time, hostPrefix(at.Address)
	if p.routed, err = s.routes.Appeared(ctx, p.prefix); err != nil {
		return p, err
	}
	applied, err := s.log.Next(ctx)
	if err != nil {
		return p, err
	}
	p.taken, p.applied = applied[0].Begun, applied[0].Done
	if applied[0].How != "delta" {
		return p, fmt.Errorf("one more Service made the reloader go the way %q: %s", applied[0].How, applied[0].Reason)
	}
	return p, s.pause()
}

// remove deletes the single Service and returns how long its route stayed.
func (s *scene) remove(prefix netip.Prefix) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(s.ctx, within)
	defer cancel()
	begin := time.Now()
	if err := s.objects.Delete(ctx, single); err != nil {
		return 0, err
	}
	at, err := s.routes.Withdrawn(ctx, prefix)
	if err != nil {
		return 0, err
	}
	if err := s.addresses.Gone(ctx, single); err != nil {
		return 0, err
	}
	return at.Sub(begin), s.pause()
}

// tidy removes the single Service and the floor's prefix when the benchmark ends, where it failed between adding and removing.
func (s *scene) tidy(b *testing.B) {
	b.Helper()
	b.Cleanup(func() {
		if !b.Failed() {
			return
		}
		if err := errors.Join(s.objects.Delete(s.ctx, single), s.floor.Withdraw(floorPrefix)); err != nil {
			b.Log("tidy up: ", err) // as a rule one of the two is not there
		}
	})
}

// endpoint takes the endpoint of the single Service away or brings it back and returns how long the router took to notice.
func (s *scene) endpoint(prefix netip.Prefix, present bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(s.ctx, within)
	defer cancel()
	notice := s.routes.Withdrawn
	if present {
		notice = s.routes.Appeared
	}
	begin := time.Now()
	if err := s.objects.Endpoint(ctx, single, present); err != nil {
		return 0, err
	}
	at, err := notice(ctx, prefix)
	if err != nil {
		return 0, err
	}
	return at.Sub(begin), s.pause()
}

// floorStep has FRR alone announce or withdraw a prefix.
func (s *scene) floorStep(present bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(s.ctx, within)
	defer cancel()
	act, notice := s.floor.Withdraw, s.routes.Withdrawn
	if present {
		act, notice = s.floor.Announce, s.routes.Appeared
	}
	begin := time.Now()
	if err := act(floorPrefix); err != nil {
		return 0, err
	}
	at, err := notice(ctx, floorPrefix)
	if err != nil {
		return 0, err
	}
	return at.Sub(begin), s.pause()
}

func (s *scene) pause() error { return sleep(s.ctx, pause) }

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

// settle waits until the product has nothing urgent left to do: its programs together use less than a twentieth of a core. Status objects,
// of which there is one for each Service, may still be on their way, a few in a second.
func (s *scene) settle(b *testing.B) {
	b.Helper()
	s.waitUse(b, time.Second/20, time.Second/4)
}

// rest waits until the product has nothing left to do.
func (s *scene) rest(b *testing.B) {
	b.Helper()
	s.waitUse(b, time.Second/50, time.Second/16)
}

// waitUse waits for a second in which the product's programs together, and the API server, use less of a core than given.
func (s *scene) waitUse(b *testing.B, product, server time.Duration) {
	b.Helper()
	// 5,000 status objects and as many conditions, at 20 a second each, after the last address
	const limit = 10 * time.Minute
	begin := time.Now()
	for {
		used := s.used(b, time.Second)
		var total time.Duration
		for _, p := range programs[:ours] {
			total += used[p[1]]
		}
		if total < product && used["kube-apiserver"] < server {
			return
		}
		if time.Since(begin) > limit {
			b.Fatalf("the product is still at work after %s: in the last second it used %v of a core: %v", limit, total, used)
		}
	}
}

// used is how much of a core each program uses in a time.
func (s *scene) used(b *testing.B, window time.Duration) map[string]time.Duration {
	b.Helper()
	before := s.usages(b)
	s.must(b, sleep(s.ctx, window))
	return between(before, s.usages(b))
}

func between(before, after map[string]Usage) map[string]time.Duration {
	used := map[string]time.Duration{}
	for name := range after {
		used[name] = after[name].CPU - before[name].CPU
	}
	return used
}

func (s *scene) usages(b *testing.B) map[string]Usage {
	b.Helper()
	usages, err := s.processes.Usages()
	s.must(b, err)
	return usages
}

func (s *scene) must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// clear deletes the numbered Services and waits until nothing of them is left.
func (s *scene) clear(b *testing.B, n int) (withdrawn time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Minute)
	defer cancel()
	mark, begin := s.routes.WithdrawalCount(), time.Now()
	s.must(b, s.objects.DeleteMany(ctx, n))
	s.must(b, s.addresses.Gone(ctx, ""))
	s.must(b, s.routes.Count(ctx, 0))
	if gone := s.routes.Withdrawals(mark); len(gone) > 0 {
		withdrawn = gone[len(gone)-1].Time.Sub(begin)
	}
	return withdrawn
}

// metrics prints the samples of a benchmark the way "go test -bench" does.
func metrics(b *testing.B, prefix string, s Samples) {
	b.Helper()
	for name, d := range map[string]time.Duration{"min": s.Quantile(0), "median": s.Median(), "p99": s.Quantile(0.99)} {
		b.ReportMetric(float64(d)/float64(time.Millisecond), prefix+name+"-ms")
	}
	b.ReportMetric(0, "ns/op") // the time of an iteration, with its pauses, means nothing
}

// counted writes a number of Services.
func counted(n int) string {
	if n >= 1000 {
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return fmt.Sprint(n)
}

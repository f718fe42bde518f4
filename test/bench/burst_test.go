package bench

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// round is one time that many Services are created at once.
type round struct {
	// accepted is how long the API server alone takes to accept them, written the same with one write of each one's status.
	accepted, written time.Duration
	// created, addressed and routed are how long it takes until all are created, have an address, have a route at the router.
	created, addressed, routed time.Duration
	// withdrawn is how long it takes until no route is left when all are deleted at once.
	withdrawn time.Duration
	// each is how long it takes for each Service to get its route.
	each Samples
	// used is how much of a core each program used until then, alone what the same programs used for accepted and written together.
	used, alone map[string]time.Duration
	// writes are the requests that changed something, by resource, until then; applied what the reloader did.
	writes  Writes
	applied []Applied
}

// bursts creates many Services at once, several times, and as often the same ones for a load balancer that does not exist, which shows
// what the API server alone needs. Each result is a benchmark of its own.
func (s *scene) bursts(b *testing.B) {
	b.Helper()
	s.must(b, s.objects.Prepare(s.ctx, burst))
	var all []round
	for range rounds {
		var r round
		s.settle(b)
		s.alone(b, &r)
		s.settle(b)
		s.together(b, &r)
		all = append(all, r)
	}
	samples := func(of func(*round) time.Duration) Samples {
		var s Samples
		for i := range all {
			s = append(s, of(&all[i]))
		}
		return s
	}
	accepted := samples(func(r *round) time.Duration { return r.accepted })
	written := samples(func(r *round) time.Duration { return r.written })
	routed := samples(func(r *round) time.Duration { return r.routed })
	var single Samples
	for i := range all {
		single = append(single, all[i].each...)
	}
	for _, row := range []struct {
		name, what, target string
		samples            Samples
	}{
		{"APIServerAlone", "API server alone accepts them", "", accepted},
		{"APIServerAloneWithStatus", "API server alone accepts them and one write of each one's status", "", written},
		{"Created", "all created, with the product at work", "", samples(func(r *round) time.Duration { return r.created })},
		{"Addressed", "all have an address", "", samples(func(r *round) time.Duration { return r.addressed })},
		{"Routed", "all have a route at the router", fmt.Sprintf("1.5 × %s", Milliseconds(accepted.Median())), routed},
		{"Each", "each Service: created → route at the router", "", single},
		{"Withdrawn", "all deleted at once → no route left", "", samples(func(r *round) time.Duration { return r.withdrawn })},
	} {
		b.Run(row.name, func(b *testing.B) { metrics(b, "", row.samples) })
		s.report.Durations(burstTitle, row.what, row.samples, row.target)
	}
	s.report.Value(valuesTitle, "1,000 at once: all routes, as multiple of the API server alone", Ratio(routed.Median(), accepted.Median()), "1.50")
	s.report.Value(valuesTitle, "1,000 at once: all routes, as multiple of the API server alone with status", Ratio(routed.Median(), written.Median()), "")
	s.resources(s.usages(b), "after 1,000 at once")
	last := all[rounds-1]
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	s.cpu("the API server alone with status, seconds of a core", last.alone, seconds)
	s.cpu("1,000 at once, seconds of a core", last.used, seconds)
	for what, n := range last.writes.Sorted() {
		s.report.Value(writesTitle, what, fmt.Sprint(n), "")
	}
	var reloads Samples
	for _, a := range last.applied {
		reloads = append(reloads, a.Done.Sub(a.Begun))
	}
	s.report.Durations(burstTitle, "one of the configurations that FRR was given meanwhile", reloads, "")
}

// alone measures what the API server needs for Services that nobody serves.
func (s *scene) alone(b *testing.B, r *round) {
	b.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Minute)
	defer cancel()
	before := s.usages(b)
	begin := time.Now()
	s.must(b, s.objects.CreateMany(ctx, burst, Kind{Foreign: true}))
	r.accepted = time.Since(begin)
	begin = time.Now()
	s.must(b, each(ctx, 0, burst, func(ctx context.Context, i int) error {
		return s.objects.Address(ctx, numbered(i), fmt.Sprintf("203.0.113.%d", i%250))
	}))
	r.written = r.accepted + time.Since(begin)
	r.alone = between(before, s.usages(b))
	s.clear(b, burst)
}

// together measures the same with the product at work.
func (s *scene) together(b *testing.B, r *round) {
	b.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Minute)
	defer cancel()
	s.must(b, s.log.Skip())
	written, err := ReadWrites(ctx, s.objects.client)
	s.must(b, err)
	before, begun := s.usages(b), make([]time.Time, burst)
	begin := time.Now()
	s.must(b, each(ctx, 0, burst, func(ctx context.Context, i int) error {
		begun[i] = time.Now()
		return s.objects.Create(ctx, numbered(i), Kind{})
	}))
	r.created = time.Since(begin)
	s.must(b, s.addresses.Count(ctx, burst))
	s.must(b, s.routes.Count(ctx, burst))
	r.used = between(before, s.usages(b))
	writtenNow, err := ReadWrites(ctx, s.objects.client)
	s.must(b, err)
	r.writes = writtenNow.Since(written)
	r.applied, err = s.log.Next(ctx)
	s.must(b, err)
	addressed, routed := s.addresses.Times(), s.routes.Times()
	for i := range burst {
		a := addressed[numbered(i)]
		at, ok := routed[hostPrefix(a.Address)]
		if !ok {
			b.Fatalf("Service %s has address %s and no route", numbered(i), a.Address)
		}
		r.addressed, r.routed = max(r.addressed, a.Time.Sub(begin)), max(r.routed, at.Sub(begin))
		r.each = append(r.each, at.Sub(begun[i]))
	}
	r.withdrawn = s.clear(b, burst)
}

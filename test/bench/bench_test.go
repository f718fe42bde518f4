package bench

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab"
)

const (
	// burst is how many Services are created at once, rounds how often: each round takes half a minute.
	burst, rounds = 1000, 3
	routeTarget   = "150"
	// addressTarget is what MetalLB needs on such a machine when that is quiet (docs/benchmarks.md).
	addressTarget = "8.7"
	// addressRatioTarget is the same as multiple of the request that created the Service there, which took 4.9 ms.
	addressRatioTarget = "1.78"
	idleTitle          = "One Service at a time"
	burstTitle         = "1,000 Services created at once"
	stagesTitle        = "Where the time goes: Service created → route, min / median of each stage"
	valuesTitle        = "Ratios and counts"
	memoryTitle        = "Resident memory, MB (at most so far)"
	cpuTitle           = "CPU"
	writesTitle        = "Requests that changed something, while 1,000 were created at once"
)

// BenchmarkIdle measures one Service that comes and goes alone.
func BenchmarkIdle(b *testing.B) {
	bench.beside(b, 0)
	b.Run("EndpointLocal", func(b *testing.B) { bench.endpointGone(b, Kind{Local: true}, "Local") })
	b.Run("EndpointCluster", func(b *testing.B) { bench.endpointGone(b, Kind{}, "Cluster") })
}

// BenchmarkBurst measures 1,000 Services that are created at once, as multiple of what the API server needs to accept them.
func BenchmarkBurst(b *testing.B) { bench.bursts(b) }

// BenchmarkBeside1000 measures one Service that comes and goes beside 1,000, and that these notice nothing.
func BenchmarkBeside1000(b *testing.B) {
	bench.fill(b, 1000)
	bench.beside(b, 1000)
	b.Run("OthersKept", bench.othersKept)
}

// BenchmarkBeside5000 measures one Service that comes and goes beside 5,000.
func BenchmarkBeside5000(b *testing.B) {
	bench.fill(b, 5000)
	bench.beside(b, 5000)
}

// fill announces n Services until the benchmark ends.
func (s *scene) fill(b *testing.B, n int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Minute)
	defer cancel()
	s.must(b, s.objects.Prepare(ctx, n))
	begin := time.Now()
	b.Cleanup(func() { s.clear(b, n) })
	s.must(b, s.objects.CreateMany(ctx, n, Kind{}))
	s.must(b, s.addresses.Count(ctx, n))
	s.must(b, s.routes.Count(ctx, n))
	took := time.Since(begin)
	s.report.Value(valuesTitle, counted(n)+" others created → all routes, s", fmt.Sprintf("%.1f", took.Seconds()), "")
}

// beside measures one Service that comes and goes while n others stay, and what the product uses at rest then.
func (s *scene) beside(b *testing.B, n int) {
	b.Helper()
	s.settle(b)
	others := fmt.Sprintf("%s others", counted(n))
	b.Run("Service", func(b *testing.B) { s.comeAndGo(b, others) })
	when := "at rest, " + others
	if n > burst {
		when = "status objects being written, " + others // which takes longer than a benchmark should
	} else {
		s.rest(b)
	}
	s.atRest(b, when)
}

func (s *scene) comeAndGo(b *testing.B, others string) {
	b.Helper()
	var create, address, route, gone, floor, floorGone Samples
	var passages []passage
	s.tidy(b)
	for b.Loop() {
		p, err := s.add(Kind{})
		s.must(b, err)
		f, err := s.floorStep(true)
		s.must(b, err)
		g, err := s.remove(p.prefix)
		s.must(b, err)
		fg, err := s.floorStep(false)
		s.must(b, err)
		passages = append(passages, p)
		create, address, route = append(create, p.created.Sub(p.begin)), append(address, p.addressed.Sub(p.begin)), append(route, p.routed.Sub(p.begin))
		gone, floor, floorGone = append(gone, g), append(floor, f), append(floorGone, fg)
	}
	metrics(b, "address-", address)
	metrics(b, "route-", route)
	metrics(b, "deleted-", gone)
	r := s.report
	r.Durations(idleTitle, others+": the request that creates it", create, "")
	r.Durations(idleTitle, others+": created → address in status", address, addressTarget)
	r.Durations(idleTitle, others+": created → route at the router", route, routeTarget)
	r.Durations(idleTitle, others+": deleted → withdrawn at the router", gone, routeTarget)
	r.Durations(idleTitle, others+": FRR alone, network line → route", floor, "")
	r.Durations(idleTitle, others+": FRR alone, no network line → withdrawn", floorGone, "")
	r.Value(valuesTitle, others+": created → address, as multiple of the request that creates it", Ratio(address.Median(), create.Median()), addressRatioTarget)
	r.Value(valuesTitle, others+": created → route, as multiple of FRR alone", Ratio(route.Median(), floor.Median()), "")
	r.Value(valuesTitle, others+": deleted → withdrawn, as multiple of FRR alone", Ratio(gone.Median(), floorGone.Median()), "")
	s.stages(others, passages)
}

// stages reports how long each stage of the way to the router took.
func (s *scene) stages(others string, passages []passage) {
	of := func(from, to func(p *passage) time.Time) string {
		var s Samples
		for i := range passages {
			s = append(s, to(&passages[i]).Sub(from(&passages[i])))
		}
		return Milliseconds(s.Quantile(0)) + " / " + Milliseconds(s.Median())
	}
	begin, created := func(p *passage) time.Time { return p.begin }, func(p *passage) time.Time { return p.created }
	addressed, taken := func(p *passage) time.Time { return p.addressed }, func(p *passage) time.Time { return p.taken }
	applied, routed := func(p *passage) time.Time { return p.applied }, func(p *passage) time.Time { return p.routed }
	s.report.Cells(stagesTitle, []string{"milliseconds", "create answered", "address seen", "reloader begins", "FRR runs it, read back", "begin of reload → route"},
		[]string{others, of(begin, created), of(created, addressed), of(addressed, taken), of(taken, applied), of(taken, routed)})
}

// endpointGone measures how the router learns that the last endpoint of a Service is gone, and that one is there again.
func (s *scene) endpointGone(b *testing.B, k Kind, policy string) {
	b.Helper()
	s.tidy(b)
	p, err := s.add(k)
	s.must(b, err)
	var gone, back Samples
	for b.Loop() {
		d, err := s.endpoint(p.prefix, false)
		s.must(b, err)
		gone = append(gone, d)
		d, err = s.endpoint(p.prefix, true)
		s.must(b, err)
		back = append(back, d)
	}
	_, err = s.remove(p.prefix)
	s.must(b, err)
	metrics(b, "gone-", gone)
	metrics(b, "back-", back)
	s.report.Durations(idleTitle, "policy "+policy+": last endpoint gone → withdrawn at the router", gone, routeTarget)
	s.report.Durations(idleTitle, "policy "+policy+": first endpoint there → route at the router", back, routeTarget)
}

// othersKept adds and removes a Service that sorts before all others, after all, and in their middle. It fails when another's route is
// withdrawn meanwhile, even for a moment, or the session is not the one that it was.
func (s *scene) othersKept(b *testing.B) {
	kinds := []Kind{{Address: "10.19.255.7"}, {Address: "10.21.0.7"}, {}}
	before, err := s.RouterSessions(s.ctx)
	s.must(b, err)
	mark, changes := s.routes.WithdrawalCount(), 0
	own := map[netip.Prefix]bool{}
	s.tidy(b)
	for b.Loop() {
		k := kinds[changes%len(kinds)]
		if k.Address == "" {
			s.must(b, s.objects.Delete(s.ctx, numbered(burst/2)))
			s.must(b, s.addresses.Gone(s.ctx, numbered(burst/2)))
		}
		p, err := s.add(k) // the one in the middle gets the address that has just become free
		s.must(b, err)
		own[p.prefix] = true
		_, err = s.remove(p.prefix)
		s.must(b, err)
		if k.Address == "" {
			s.must(b, s.objects.Create(s.ctx, numbered(burst/2), Kind{}))
		}
		s.must(b, s.routes.Count(s.ctx, burst))
		changes++
	}
	s.must(b, s.pause())
	after, err := s.RouterSessions(s.ctx)
	s.must(b, err)
	lost := slices.DeleteFunc(s.routes.Withdrawals(mark), func(w Withdrawal) bool { return own[w.Prefix] })
	node := lab.NodeAddresses(1).IPv4
	b.ReportMetric(float64(len(lost)), "others-lost")
	b.ReportMetric(0, "ns/op")
	s.report.Value(valuesTitle, fmt.Sprintf("1,000 others: routes lost while one was added and removed %d times: first, last and in the middle", changes), fmt.Sprint(len(lost)), "0")
	s.report.Value(valuesTitle, "1,000 others: resets of the session meanwhile", fmt.Sprint(after[node].Count-before[node].Count), "0")
	if len(lost) > 0 {
		b.Errorf("%d routes of other Services were withdrawn, %s the first of them", len(lost), lost[0].Prefix)
	}
	if !after[node].Established || after[node].Count != before[node].Count || after[node].Up < before[node].Up {
		b.Errorf("the session with the node was %+v before and is %+v after", before[node], after[node])
	}
}

// atRest reports what the product uses while nothing happens.
func (s *scene) atRest(b *testing.B, when string) {
	b.Helper()
	const window = 10 * time.Second
	used := s.used(b, window)
	s.resources(s.usages(b), when)
	s.cpu(when+", % of a core", used, func(d time.Duration) string {
		return fmt.Sprintf("%.1f", 100*d.Seconds()/window.Seconds())
	})
}

func programNames() []string {
	var names []string
	for _, p := range programs {
		names = append(names, p[1])
	}
	return names
}

func (s *scene) resources(usages map[string]Usage, when string) {
	cells := []string{when}
	for _, name := range programNames() {
		cells = append(cells, fmt.Sprintf("%d (%d)", usages[name].RSS>>20, usages[name].Peak>>20))
	}
	s.report.Cells(memoryTitle, append([]string{""}, programNames()...), cells)
}

func (s *scene) cpu(when string, used map[string]time.Duration, write func(time.Duration) string) {
	cells := []string{when}
	for _, name := range programNames() {
		cells = append(cells, write(used[name]))
	}
	s.report.Cells(cpuTitle, append([]string{""}, programNames()...), cells)
}

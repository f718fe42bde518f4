package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
)

// creators is how many clients create Services at a time in a burst.
const creators = 32

// arrivals watches Services and tells when each first shows an address.
type arrivals struct {
	seen chan arrival
	// stop ends the watch.
	stop func()
}

type arrival struct {
	name string
	at   time.Time
}

func (w *world) watchArrivals(b *testing.B) *arrivals {
	b.Helper()
	var now corev1.ServiceList
	if err := w.List(b.Context(), &now, client.InNamespace(w.name)); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	events, err := w.Watch(ctx, &corev1.ServiceList{}, client.InNamespace(w.name),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: now.ResourceVersion}})
	if err != nil {
		cancel()
		b.Fatal(err)
	}
	a := &arrivals{seen: make(chan arrival, 16384)}
	var running sync.WaitGroup
	running.Go(func() {
		done := map[string]bool{}
		for e := range events.ResultChan() {
			if e.Type == watch.Error && ctx.Err() == nil {
				b.Errorf("watching Services: %v", e.Object)
			}
			if svc, ok := e.Object.(*corev1.Service); ok && len(svc.Status.LoadBalancer.Ingress) > 0 && !done[svc.Name] {
				done[svc.Name] = true
				a.seen <- arrival{svc.Name, time.Now()}
			}
		}
	})
	stop := sync.OnceFunc(func() {
		cancel()
		events.Stop()
		running.Wait()
	})
	a.stop = stop
	b.Cleanup(stop)
	return a
}

// await returns when each of n Services has shown its address.
func (a *arrivals) await(b *testing.B, n int) map[string]time.Time {
	b.Helper()
	at := make(map[string]time.Time, n)
	timeout := time.After(5 * time.Minute)
	for len(at) < n {
		select {
		case one := <-a.seen:
			at[one.name] = one.at
		case <-timeout:
			b.Fatalf("%d of %d Services have an address", len(at), n)
		}
	}
	return at
}

// report prints the distribution of the durations.
func report(b *testing.B, what string, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.Logf("%s: n=%d min %.1f median %.1f p99 %.1f max %.1f ms", what, len(all),
		ms(all[0]), ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1]))
	b.ReportMetric(ms(all[len(all)/2]), "median-ms")
}

// BenchmarkServiceToAddress measures from the moment before a Service is created until a watch shows its address, one Service at a time.
func BenchmarkServiceToAddress(b *testing.B) {
	w := newWorld(b)
	w.pool(b, "p", []string{"10.0.0.0/16"})
	w.controller(b)
	a := w.watchArrivals(b)
	w.create(b, "warm-up")
	a.await(b, 1)
	time.Sleep(2 * time.Second) // until the counters of the pool and the event are written
	var creates, addresses []time.Duration
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprint("s", i)
		start := time.Now()
		w.create(b, name)
		creates = append(creates, time.Since(start))
		addresses = append(addresses, a.await(b, 1)[name].Sub(start))
		time.Sleep(50 * time.Millisecond)
	}
	report(b, "create call", slices.Clone(creates))
	report(b, "create to address", addresses)
}

// burst makes n Services with as many clients as creators says, and after each whatever then does.
func (w *world) burst(b *testing.B, n int, then func(ctx context.Context, w *world, svc *corev1.Service) error) (start time.Time, created time.Duration) {
	b.Helper()
	names := make(chan string, n)
	for i := range n {
		names <- fmt.Sprint("s", i)
	}
	close(names)
	start = time.Now()
	var running sync.WaitGroup
	for range creators {
		running.Go(func() {
			for name := range names {
				svc := w.service(name)
				if err := w.Create(b.Context(), svc); err != nil {
					b.Error(err)
					return
				}
				if err := then(b.Context(), w, svc); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	return start, time.Since(start)
}

func nothing(context.Context, *world, *corev1.Service) error { return nil }

// BenchmarkBurst measures many Services created at once until all of them show their addresses, beside what the API server alone takes for
// the same writes, and what each Service costs the controller.
//
// A machine's speed may change twofold within minutes. So what is compared is measured in turn: the API server alone before and after each
// burst with a controller, and small bursts around every large one.
func BenchmarkBurst(b *testing.B) {
	small, large := crowd{n: 1_000}, crowd{n: 5_000}
	for b.Loop() {
		small.measure(b)
		small.measure(b)
		large.measure(b)
		small.measure(b)
		small.measure(b)
	}
	small.report(b)
	large.report(b)
	b.Logf("a Service among %d costs %.2f of the units, %.2f of the CPU time and %.2f of the allocation of one among %d", large.n,
		middle(large.units)/middle(small.units), middle(large.cpu)/middle(small.cpu), middle(large.allocated)/middle(small.allocated), small.n)
	b.ReportMetric(middle(large.units)/middle(small.units), "units-large/small")
}

// crowd is what bursts of n Services took, an entry for each burst.
type crowd struct {
	n int
	// of is the time until all have addresses, as a multiple of what the API server alone takes; cpu is in milliseconds and allocated in kilobytes
	// for each Service; units is cpu in units of what measureSpeed found during the burst; peak is the controller's resident memory in MiB.
	of, cpu, units, allocated, peak []float64
	// server is the CPU time of API server and etcd during a burst, work the same as multiple of theirs without a controller.
	server []time.Duration
	work   []float64
}

// measure makes one burst.
func (c *crowd) measure(b *testing.B) {
	b.Helper()
	before, cpuBefore := alone(b, c.n)
	all := c.together(b)
	after, cpuAfter := alone(b, c.n)
	c.of = append(c.of, 2*all.Seconds()/(before+after).Seconds())
	c.work = append(c.work, 2*c.server[len(c.server)-1].Seconds()/(cpuBefore+cpuAfter).Seconds())
	last := len(c.of) - 1
	b.Logf("%d at once: API server alone %.2f s before and %.2f s after, with controller %.2f s until all have addresses: %.2f of it; API server and etcd work %.2f of that alone, the controller %.2f CPU-ms a Service (%.2f units), %.1f KB allocated; peak %.0f MiB",
		c.n, before.Seconds(), after.Seconds(), all.Seconds(), c.of[last], c.work[last], c.cpu[last], c.units[last], c.allocated[last], c.peak[last])
}

// together returns how long it takes until all Services of a burst have addresses of a controller, and notes what that cost the controller.
func (c *crowd) together(b *testing.B) time.Duration {
	b.Helper()
	w := fresh(b)
	w.pool(b, "p", []string{"10.0.0.0/16"})
	p := w.controller(b)
	a := w.watchArrivals(b)
	defer a.stop()
	defer p.stop(b)
	w.create(b, "warm-up")
	a.await(b, 1)
	token := w.reader(b)
	var allocated float64
	eventually(b, "metrics", func() (ok bool, found string) {
		allocated, ok = p.allocated(b, token)
		return ok, "none"
	})
	speed := measureSpeed(b)
	cpu, server := p.cpu(b), serverCPU(b)
	start, _ := w.burst(b, c.n, nothing)
	var last time.Time
	for _, at := range a.await(b, c.n) {
		if at.After(last) {
			last = at
		}
	}
	used := p.cpu(b) - cpu
	c.server = append(c.server, serverCPU(b)-server)
	unit := speed()
	after, ok := p.allocated(b, token)
	if !ok {
		b.Fatal("the controller shows no metrics after the burst")
	}
	each := float64(c.n)
	c.cpu = append(c.cpu, float64(used.Microseconds())/1000/each)
	c.units = append(c.units, used.Seconds()/unit.Seconds()/each)
	c.allocated = append(c.allocated, (after-allocated)/1000/each)
	c.peak = append(c.peak, p.memory(b, "VmHWM"))
	return last.Sub(start)
}

// report prints the medians.
func (c *crowd) report(b *testing.B) {
	b.Helper()
	b.Logf("%d at once, medians of %d: %.2f of the API server alone, a Service %.2f CPU-ms (%.2f units) and %.1f KB allocated; peak %.0f MiB at most",
		c.n, len(c.of), middle(c.of), middle(c.cpu), middle(c.units), middle(c.allocated), slices.Max(c.peak))
	unit := fmt.Sprint("-", c.n)
	b.ReportMetric(middle(c.of), "of-API-server"+unit)
	b.ReportMetric(middle(c.cpu), "CPU-ms"+unit)
	b.ReportMetric(slices.Max(c.peak), "peak-MiB"+unit)
}

// measureSpeed takes from time to time, until the returned function is called, the CPU time that a fixed piece of work needs, a little of what a
// controller does, and returns the mean: the unit in which CPU time is the same on a machine that is fast now and slow then.
func measureSpeed(b *testing.B) func() time.Duration {
	b.Helper()
	stop, result := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		runtime.LockOSThread() // the clock is that of a thread
		defer runtime.UnlockOSThread()
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", Annotations: map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}}}
		var total time.Duration
		for n := time.Duration(1); ; n++ {
			began := threadTime(b)
			for range 100 {
				body, err := json.Marshal(svc)
				if err != nil {
					b.Error(err)
				}
				if err := json.Unmarshal(body, &corev1.Service{}); err != nil {
					b.Error(err)
				}
			}
			total += threadTime(b) - began
			select {
			case <-stop:
				result <- total / n
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-result
	}
}

// threadTime returns the CPU time that this thread has used.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Error(err)
	}
	return time.Duration(t.Nano())
}

// middle returns the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// allocated returns how many bytes the controller has ever allocated: a measure of its work that does not depend on how busy the machine is.
// It is false as long as token does not open the metrics.
func (p *process) allocated(tb testing.TB, token string) (float64, bool) {
	tb.Helper()
	status, text := p.scrape(tb, token)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "go_memstats_alloc_bytes_total "); ok && status == http.StatusOK {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				tb.Fatal(err)
			}
			return n, true
		}
	}
	return 0, false
}

// fresh returns a world on an API server without a past.
func fresh(b *testing.B) *world {
	b.Helper()
	if err := cluster.renew(); err != nil {
		b.Fatal(err)
	}
	return newWorld(b)
}

// alone returns how long an API server without a controller takes for the same writes, and how much CPU time it and etcd use for them: n Services, each followed by a patch that says what the
// controller's says, in the view of the same watch. It is an API server of its own, as one gets slower with every object that it had and has no more.
func alone(b *testing.B, n int) (took, cpu time.Duration) {
	b.Helper()
	w := fresh(b)
	a := w.watchArrivals(b)
	defer a.stop()
	cpu = serverCPU(b)
	_, took = w.burst(b, n, func(ctx context.Context, w *world, svc *corev1.Service) error {
		body := fmt.Sprintf(`{"metadata":{"uid":%q,"annotations":{%q:"p"}},"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]},"conditions":[{`+
			`"type":%q,"status":"True","reason":%q,"message":"the Service has the addresses it asks for","lastTransitionTime":%q}]}}`,
			svc.UID, v1beta1.AnnotationAllocatedFromPool, service.ConditionAllocated, service.ReasonAllocated, time.Now().UTC().Format(time.RFC3339))
		return w.Status().Patch(ctx, svc, client.RawPatch(types.StrategicMergePatchType, []byte(body)))
	})
	return took, serverCPU(b) - cpu
}

// BenchmarkRestart measures a controller that starts beside Services that have their addresses, until it serves a new one.
func BenchmarkRestart(b *testing.B) {
	const n = 10_000
	w := newWorld(b)
	w.pool(b, "p", []string{"10.0.0.0/16"})
	p := w.controller(b)
	a := w.watchArrivals(b)
	w.burst(b, n, nothing)
	a.await(b, n)
	p.stop(b)
	for i := 0; b.Loop(); i++ {
		before := writes(b, "services")
		start := time.Now()
		p := w.controller(b)
		name := fmt.Sprint("new", i)
		w.create(b, name)
		at := a.await(b, 1)[name]
		b.Logf("%d Services: new controller serves after %.0f ms, %d writes of Services besides the new one's two, RSS %.0f MiB, peak %.0f MiB", n,
			float64(at.Sub(start).Milliseconds()), writes(b, "services")-before-2, p.memory(b, "VmRSS"), p.memory(b, "VmHWM"))
		p.stop(b)
	}
}

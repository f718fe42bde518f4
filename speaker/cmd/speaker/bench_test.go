package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/observer"
	"github.com/seed-551707bd/metallb-operator/test/port"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

const (
	// pause is how long nothing happens before a session goes down, so that what belongs to the time before is over.
	pause = 700 * time.Millisecond
	// creators is how many Services are created at once.
	creators = 16
	// built is how long it may take until the objects of thousands of Services are there.
	built = 15 * time.Minute
	// settling is how long programs are left alone before that: what a start brings with it is over then, and its memory was given back, as Go
	// collects what is left by itself after two minutes. window is how long they are looked at.
	settling = 150 * time.Second
	window   = time.Minute
)

// figures is a world for benchmarks: an observer in place of the router.
type figures struct {
	*world
	routers *observer.Router
	peers   []netip.Addr
	// written is what a watch says of the BGPSessionState objects, told what bgpd says of the sessions.
	written, told sayings
}

// newFigures has a node with a session to each of so many routers and that many Services.
func newFigures(tb testing.TB, release frrtest.Release, peers, services int) *figures {
	tb.Helper()
	f := &figures{world: newNode(tb, release)}
	var addresses []string
	for i := range peers {
		f.peers = append(f.peers, netip.AddrFrom4([4]byte{192, 0, 2, byte(101 + i)}))
		addresses = append(addresses, f.peers[i].String()+"/24")
	}
	f.routers = observer.Start(tb, f.node, observer.Options{ASN: 64512, Cable: "link0", Node: []string{"192.0.2.1/24"}, Addresses: addresses})
	f.node.StartFRR(tb)
	f.startReloader()
	f.connect()
	f.create(&v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"10.0.0.0/16"}}})
	for i, address := range f.peers {
		f.create(&v1beta2.BGPPeer{ObjectMeta: named(fmt.Sprintf("router-%d", i)), Spec: v1beta2.BGPPeerSpec{
			MyASN: 64512, PeerASN: 64512, PeerAddress: address.String(), ConnectTime: &metav1.Duration{Duration: time.Second},
		}})
	}
	f.create(&v1beta1.BGPAdvertisement{ObjectMeta: named("all"), Spec: v1beta1.BGPAdvertisementSpec{Communities: []string{"64512:7"}}})
	creating, ctx := errgroup.WithContext(tb.Context())
	creating.SetLimit(creators)
	for i := range services {
		creating.Go(func() error {
			return f.serve(ctx, fmt.Sprintf("many-%04d", i), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
		})
	}
	if err := creating.Wait(); err != nil {
		tb.Fatal(err)
	}
	return f
}

// quiet has a speaker say nothing that is not wrong.
func quiet(o *Options) { o.LogLevel = "error" }

// awaitRoutes waits until every router has a session and all routes.
func (f *figures) awaitRoutes(services int) {
	f.Helper()
	f.routers.Await(f, func() error {
		for _, address := range f.peers {
			if s := f.routers.State(address); !s.Up || len(s.Routes) != services {
				return fmt.Errorf("%s: session %t (%s), %d routes of %d", address, s.Up, s.Ended, len(s.Routes), services)
			}
		}
		return nil
	})
}

// follow begins to note what bgpd says of the sessions, and what a watch says of their objects.
func (f *figures) follow() {
	f.Helper()
	monitor, err := vty.OpenMonitor(f.Context(), f.node.Path("/run/frr"), "bgpd", frrstate.CommandsEvents()...)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	c, err := client.NewWithWatch(f.server.Config(), client.Options{Scheme: f.Scheme()})
	if err != nil {
		f.Fatal(err)
	}
	watch, err := c.Watch(ctx, &v1beta1.BGPSessionStateList{}, client.InNamespace(namespace))
	if err != nil {
		f.Fatal(err)
	}
	var following sync.WaitGroup
	f.Cleanup(func() {
		cancel()
		watch.Stop()
		following.Wait()
		monitor.Close()
	})
	following.Go(func() {
		for {
			message, err := monitor.Next(ctx)
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, vty.ErrEnded) {
					f.Errorf("follow bgpd's log: %v", err)
				}
				return
			}
			if e, ok := frrstate.ParseEvent(message.Text); ok && e.Kind == frrstate.EventState {
				f.told.say(e.Peer, e.To)
			}
		}
	})
	following.Go(func() {
		for e := range watch.ResultChan() {
			if o, ok := e.Object.(*v1beta1.BGPSessionState); ok {
				f.written.say(o.Status.Peer, o.Status.BGPStatus)
			}
		}
	})
}

// sayings are the states that sessions were said to be in, in the order in which that was heard.
type sayings struct {
	mu      sync.Mutex
	changed chan struct{} // closed when there is another, nil while nobody waits
	all     []saying
}

type saying struct {
	at          time.Time
	peer, state string
}

func (s *sayings) say(peer, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, saying{time.Now(), peer, state})
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *sayings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// find returns when a peer was first said to be Established, or not to be, and how many sayings there were by then. None are looked at up to
// after. Without one it returns a channel that is closed when there is more to find.
func (s *sayings) find(after int, peer string, up bool) (at time.Time, count int, more <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.all[after:] {
		if one.peer == peer && (one.state == "Established") == up {
			return one.at, after + i + 1, nil
		}
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return time.Time{}, 0, s.changed
}

func (s *sayings) await(tb testing.TB, after int, peer netip.Addr, up bool) (time.Time, int) {
	tb.Helper()
	limit := time.After(frrtest.Patience)
	for {
		at, count, more := s.find(after, peer.String(), up)
		if more == nil {
			return at, count
		}
		select {
		case <-more:
		case <-limit:
			tb.Fatalf("it was not said that the session with %s is up: %t", peer, up)
		}
	}
}

// flap has a router end its session without a word, and returns how long after bgpd said that the session is down, and then that it is up again,
// its object said so.
func (f *figures) flap(peer netip.Addr) (down, up time.Duration) {
	f.Helper()
	time.Sleep(pause)
	told, written := f.told.count(), f.written.count()
	f.routers.Drop(peer)
	before, told := f.told.await(f, told, peer, false)
	after, written := f.written.await(f, written, peer, false)
	down = after.Sub(before)
	before, _ = f.told.await(f, told, peer, true)
	after, _ = f.written.await(f, written, peer, true)
	return down, after.Sub(before)
}

// flaps measures so many, of one session after the other: the object of one session is written at once only so often.
func (f *figures) flaps(b *testing.B, n int) {
	b.Helper()
	var downs, ups bench.Samples
	for i := range n {
		down, up := f.flap(f.peers[i%len(f.peers)])
		downs, ups = append(downs, down), append(ups, up)
	}
	for name, of := range map[string]bench.Samples{"down": downs, "up": ups} {
		b.ReportMetric(milliseconds(of.Median()), name+"-median-ms")
		b.ReportMetric(milliseconds(of.Quantile(1)), name+"-max-ms")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// reportLoad prints the load of the machine, which all times depend on.
func reportLoad(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		b.Fatal(err)
	}
	load, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(load, "load")
}

// BenchmarkSessionState measures how long after bgpd said that a session is down, or up, its BGPSessionState object says so, as a watch tells.
func BenchmarkSessionState(b *testing.B) {
	for _, release := range frrtest.Releases() {
		b.Run(string(release), func(b *testing.B) {
			f := newFigures(b, release, 10, 1)
			f.startSpeaker(quiet)
			f.awaitRoutes(1)
			f.follow()
			f.flaps(b, b.N)
			b.ReportMetric(0, "ns/op")
			reportLoad(b)
		})
	}
}

// BenchmarkAtRest prints what the programs of a node need while nothing happens, with 5,000 Services announced to 4 peers, and after that how
// long it takes in their midst until the object of a session that went down, or came up, says so. The speaker's process was started beside
// status objects that a speaker before it has written: writing them takes minutes at the pace it keeps to.
func BenchmarkAtRest(b *testing.B) {
	const services, peers = 5000, 4
	f := newFigures(b, frrtest.Bookworm, peers, services)
	f.writeStatuses(services)
	programs := map[string]string{"speaker": fmt.Sprintf("/proc/%d", f.speakerProcess())}
	f.awaitRoutes(services)
	f.awaitStatuses(services)
	for _, program := range []string{"reloader", "bgpd", "zebra", "bfdd"} {
		pid, err := f.node.DaemonPID(program)
		if err != nil {
			b.Fatal(err)
		}
		programs[program] = f.node.Path(fmt.Sprintf("/proc/%d", pid))
	}
	time.Sleep(settling)
	before := usages(b, programs)
	time.Sleep(window)
	for name, now := range usages(b, programs) {
		b.ReportMetric(float64(now.RSS)/1e6, name+"-MB")
		b.ReportMetric(milliseconds(now.CPU-before[name].CPU), name+"-cpu-ms/min")
	}
	speaker := usages(b, programs)["speaker"]
	b.ReportMetric(float64(speaker.Peak)/1e6, "speaker-peak-MB")
	b.ReportMetric(float64(speaker.File)/1e6, "speaker-file-MB")
	f.follow()
	f.flaps(b, peers)
	b.ReportMetric(0, "ns/op")
	reportLoad(b)
}

func usages(b *testing.B, programs map[string]string) map[string]bench.Usage {
	b.Helper()
	found := map[string]bench.Usage{}
	for name, dir := range programs {
		u, err := bench.ReadUsage(dir)
		if err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		found[name] = u
	}
	return found
}

// writeStatuses has a speaker write the status objects of all Services, as fast as it can, and ends it.
func (f *figures) writeStatuses(services int) {
	f.Helper()
	stop := f.startSpeaker(quiet, func(o *Options) { o.StatusWrites = 1000 })
	f.awaitRoutes(services)
	f.awaitStatuses(services)
	stop()
}

// awaitStatuses waits until every Service has a status object that says that every router was sent its address.
func (f *figures) awaitStatuses(services int) {
	f.Helper()
	frrtest.Eventually(f, built, func() error {
		var list v1beta1.ServiceBGPStatusList
		if err := f.List(f.Context(), &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		told := 0
		for i := range list.Items {
			if sent := list.Items[i].Status.Sent; len(sent) == len(f.peers) {
				told++
			}
		}
		if told != services {
			time.Sleep(2 * time.Second) // listing thousands keeps the API server from what is waited for
			return fmt.Errorf("%d of %d Services have their status", told, services)
		}
		return nil
	})
}

// speakerProcess starts the speaker as a pod has it, and returns its number.
func (f *figures) speakerProcess() int {
	f.Helper()
	program, err := build("speaker")
	if err != nil {
		f.Fatal(err)
	}
	kubeconfig := filepath.Join(f.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, f.server.Kubeconfig(), 0o600); err != nil {
		f.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(f.Context(), program, "--node-name=node1", "--namespace="+namespace, "--pod-name=speaker-x", "--log-level=warn",
		"--host=127.0.0.1", "--port="+strconv.Itoa(port.Free(f)), "--health-probe-port="+strconv.Itoa(port.Free(f)), "--reloader-socket="+f.socket)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = cmd.Wait() // the test's context has ended it
		f.Logf("the speaker said:\n%s", &said)
	})
	return cmd.Process.Pid
}

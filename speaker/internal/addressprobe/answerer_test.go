package addressprobe_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/crd"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/addressprobe"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

const (
	node      = "n1"
	namespace = "metallb-system"
	// patience is how long a test waits for what has to happen.
	patience = time.Minute
)

// config is of the API server that the tests of this package share.
var config *rest.Config

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	server, err := apiserver.Start(context.Background(), apiserver.Options{})
	if err == nil {
		defer func() { _ = server.Stop() }()
		config = server.Config()
		err = install()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// install creates the namespace and the definitions, and returns when AddressProbes can be made.
func install() error {
	c, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		return err
	}
	definitions, err := crd.Definitions()
	if err != nil {
		return err
	}
	errs := []error{c.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})}
	for _, d := range definitions {
		if d.Spec.Names.Kind == "AddressProbe" {
			errs = append(errs, c.Create(context.Background(), d))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := c.List(context.Background(), &v1beta1.AddressProbeList{})
		if err == nil || time.Now().After(limit) {
			return err
		}
	}
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1beta1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}

// world is an API server and what the speaker was asked.
type world struct {
	*testing.T
	client.WithWatch
	mu    sync.Mutex
	asked [][]netip.Addr
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, WithWatch: c}
	t.Cleanup(func() {
		if err := c.DeleteAllOf(context.Background(), &v1beta1.AddressProbe{}, client.InNamespace(namespace)); err != nil {
			t.Error(err)
		}
	})
	return w
}

// free notes the question and finds every address free.
func (w *world) free(_ context.Context, addresses []netip.Addr) []probe.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, addresses)
	results := make([]probe.Result, len(addresses))
	for i, a := range addresses {
		results[i] = probe.Result{Address: a, State: probe.Free, Link: "eth0", Message: "nobody answered on eth0"}
	}
	return results
}

func (w *world) questions() [][]netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

// start runs an Answerer until the returned function is called.
func (w *world) start(c client.Client, ask func(context.Context, []netip.Addr) []probe.Result) (stop func()) {
	w.Helper()
	log, err := logging.New(w.Output(), "debug")
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	watched, err := cache.New(config, cache.Options{Scheme: scheme(), ByObject: addressprobe.ByObject(node, namespace)})
	if err != nil {
		w.Fatal(err)
	}
	a, err := addressprobe.New(ctx, addressprobe.Options{Node: node, Cache: watched, Client: c, Ask: ask, Log: log})
	if err != nil {
		w.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { done <- watched.Start(ctx) }()
	go func() { done <- a.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			w.Errorf("it ended with %v", err)
		}
	})
	w.Cleanup(stop)
	return stop
}

func (w *world) create(name, of string, addresses ...string) *v1beta1.AddressProbe {
	w.Helper()
	o := &v1beta1.AddressProbe{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1beta1.AddressProbeSpec{Node: of, Addresses: addresses}}
	if err := w.Create(w.Context(), o); err != nil {
		w.Fatal(err)
	}
	return o
}

func (w *world) get(name string) v1beta1.AddressProbe {
	w.Helper()
	var o v1beta1.AddressProbe
	if err := w.Get(w.Context(), types.NamespacedName{Namespace: namespace, Name: name}, &o); err != nil {
		w.Fatal(err)
	}
	return o
}

// answered waits for the answer to a question.
func (w *world) answered(name string) v1beta1.AddressProbe {
	w.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if o := w.get(name); o.Status.CompletedAt != nil {
			return o
		}
		if time.Now().After(limit) {
			w.Fatalf("%s is not answered", name)
		}
	}
}

func TestGivenQuestionsToSeveralNodesWhenWatchedThenThoseToThisOneAreAnsweredOnce(t *testing.T) {
	w := newWorld(t)
	w.create("early", node, "192.0.2.1", "2001:db8::1")
	w.create("elsewhere", "n2", "192.0.2.2")
	answered := w.create("answered", node, "192.0.2.3")
	answered.Status = v1beta1.AddressProbeStatus{CompletedAt: new(metav1.Now())}
	if err := w.Status().Update(t.Context(), answered); err != nil {
		t.Fatal(err)
	}
	w.start(w, w.free)
	early := w.answered("early")
	want := []v1beta1.AddressProbeResult{
		{Address: "192.0.2.1", State: v1beta1.AddressProbeFree, Interface: "eth0", Message: "nobody answered on eth0"},
		{Address: "2001:db8::1", State: v1beta1.AddressProbeFree, Interface: "eth0", Message: "nobody answered on eth0"},
	}
	if !reflect.DeepEqual(early.Status.Results, want) {
		t.Errorf("results %+v, want %+v", early.Status.Results, want)
	}
	// What somebody writes about it does not make it a question again.
	early.Labels = map[string]string{"seen": "yes"}
	if err := w.Update(t.Context(), &early); err != nil {
		t.Fatal(err)
	}
	w.create("late", node, "192.0.2.4")
	w.answered("late")
	if got := w.questions(); len(got) != 2 || got[0][0] != netip.MustParseAddr("192.0.2.1") || got[1][0] != netip.MustParseAddr("192.0.2.4") {
		t.Errorf("asked for %v, want what early and late want", got)
	}
	if o := w.get("early"); o.ResourceVersion != early.ResourceVersion {
		t.Errorf("it was written again: %+v", o)
	}
	for _, name := range []string{"elsewhere", "answered"} {
		if o := w.get(name); len(o.Status.Results) > 0 {
			t.Errorf("%s has results: %+v", name, o.Status)
		}
	}
}

func TestGivenAnAPIThatRefusesForAWhileWhenAnsweredThenTheAnswerArrivesWithoutAskingAgain(t *testing.T) {
	w := newWorld(t)
	refusals := 3
	var mu sync.Mutex
	c := interceptor.NewClient(w.WithWatch, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object,
		p client.Patch, options ...client.SubResourcePatchOption) error {
		mu.Lock()
		defer mu.Unlock()
		if refusals--; refusals >= 0 {
			return errors.New("the API is away")
		}
		return c.SubResource(sub).Patch(ctx, o, p, options...)
	}})
	w.start(c, w.free)
	w.create("patient", node, "192.0.2.1")
	w.answered("patient")
	if got := w.questions(); len(got) != 1 {
		t.Errorf("asked %d times, want once", len(got))
	}
}

func TestGivenAQuestionWithdrawnWhileAskedWhenAnotherHasItsNameThenEachGetsItsOwnAnswer(t *testing.T) {
	w := newWorld(t)
	asking, goOn, written := make(chan struct{}), make(chan struct{}), make(chan error, 10)
	c := interceptor.NewClient(w.WithWatch, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object,
		p client.Patch, options ...client.SubResourcePatchOption) error {
		err := c.SubResource(sub).Patch(ctx, o, p, options...)
		written <- err
		return err
	}})
	var once sync.Once
	w.start(c, func(ctx context.Context, addresses []netip.Addr) []probe.Result {
		first := false
		once.Do(func() { first = true })
		if first {
			close(asking)
			<-goOn
			return []probe.Result{{Address: addresses[0], State: probe.Failed, Message: "that of the first"}}
		}
		return w.free(ctx, addresses)
	})
	first := w.create("same", node, "192.0.2.1")
	<-asking
	if err := w.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.create("same", node, "192.0.2.1")
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	second := w.get("same")
	close(goOn)
	if err := <-written; err == nil {
		t.Error("the answer to the first question was taken")
	}
	if o := w.get("same"); o.Status.Results[0].State != v1beta1.AddressProbeFree || o.ResourceVersion != second.ResourceVersion {
		t.Errorf("the second question has the answer %+v, want its own", o.Status)
	}
}

func TestGivenASpeakerThatEndsWhileAskingWhenTheNextOneStartsThenThatOneAnswers(t *testing.T) {
	w := newWorld(t)
	asking := make(chan struct{})
	stop := w.start(w, func(ctx context.Context, addresses []netip.Addr) []probe.Result {
		close(asking)
		<-ctx.Done()
		return []probe.Result{{Address: addresses[0], State: probe.Failed, Message: ctx.Err().Error()}}
	})
	w.create("interrupted", node, "192.0.2.1")
	<-asking
	stop()
	if o := w.get("interrupted"); o.Status.CompletedAt != nil {
		t.Fatalf("the speaker that ended answered %+v", o.Status)
	}
	w.start(w, w.free)
	if o := w.answered("interrupted"); o.Status.Results[0].State != v1beta1.AddressProbeFree {
		t.Errorf("answer %+v, want that of the next speaker", o.Status)
	}
}

func TestGivenMoreQuestionsThanAreAskedAtOnceWhenTheyComeThenAllAreAnswered(t *testing.T) {
	const questions, atOnce = 50, 16
	w := newWorld(t)
	for i := range questions {
		w.create(fmt.Sprintf("q%d", i), node, fmt.Sprintf("192.0.2.%d", i))
	}
	var mu sync.Mutex
	running, most, full := 0, 0, make(chan struct{})
	w.start(w, func(ctx context.Context, addresses []netip.Addr) []probe.Result {
		mu.Lock()
		running++
		if most = max(most, running); most == atOnce && running == most {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full // nobody is done before as many ask as may
		results := w.free(ctx, addresses)
		mu.Lock()
		defer mu.Unlock()
		running--
		return results
	})
	for i := range questions {
		w.answered(fmt.Sprintf("q%d", i))
	}
	if most != atOnce || len(w.questions()) != questions {
		t.Errorf("up to %d at once and %d in all, want %d and %d", most, len(w.questions()), atOnce, questions)
	}
}

func TestGivenANodeOnARealSegmentWhenAskedThroughTheAPIThenTheStatusTellsWhoHasTheAddress(t *testing.T) {
	w := newWorld(t)
	s := segment.New(t)
	host, neighbor := s.Host("192.0.2.1/24"), s.Host("192.0.2.2/24")
	w.start(w, func(ctx context.Context, addresses []netip.Addr) (results []probe.Result) {
		if err := netns.Do(host.Namespace, func() error { results = probe.Ask(ctx, addresses); return nil }); err != nil {
			t.Error(err)
		}
		return results
	})
	start := time.Now()
	w.create("real", node, "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1")
	o := w.answered("real")
	t.Logf("created to answered: %v", time.Since(start))
	his := neighbor.Get("eth0").Attrs().HardwareAddr.String()
	for i, want := range []v1beta1.AddressProbeResult{
		{State: v1beta1.AddressProbeInUse, Interface: "eth0", HardwareAddress: host.Get("eth0").Attrs().HardwareAddr.String(), Message: "address of eth0 of this node"},
		{State: v1beta1.AddressProbeInUse, Interface: "eth0", HardwareAddress: his, Message: his + " on eth0 has it: ARP reply"},
		{State: v1beta1.AddressProbeFree, Interface: "eth0", Message: "nobody answered on eth0"},
		{State: v1beta1.AddressProbeNotOnLink, Message: "no link of this node has a network with this address"},
	} {
		if want.Address = o.Spec.Addresses[i]; o.Status.Results[i] != want {
			t.Errorf("result %+v, want %+v", o.Status.Results[i], want)
		}
	}
}

func TestGivenAddressesAsPeopleWriteThemWhenAskedForThenEachTextGetsOneResult(t *testing.T) {
	w := newWorld(t)
	w.start(w, func(_ context.Context, addresses []netip.Addr) []probe.Result {
		results := make([]probe.Result, len(addresses))
		for i, a := range addresses {
			results[i] = probe.Result{Address: a, State: probe.InUse, MAC: wire.MAC{2, 0, 0, 0, 0, 1}, Message: a.String() + strings.Repeat("é", 2000)}
		}
		return results
	})
	w.create("odd", node, "192.0.2.1", "2001:DB8::1", "192.0.2.1", "2001:db8:0::1")
	o := w.answered("odd")
	want := map[string]string{"192.0.2.1": "192.0.2.1é", "2001:DB8::1": "2001:db8::1é", "2001:db8:0::1": "2001:db8::1é"}
	if len(o.Status.Results) != len(want) {
		t.Fatalf("%d results, want %d", len(o.Status.Results), len(want))
	}
	for _, r := range o.Status.Results {
		if !strings.HasPrefix(r.Message, want[r.Address]) || r.HardwareAddress != "02:00:00:00:00:01" || r.State != v1beta1.AddressProbeInUse {
			t.Errorf("result %+v, want one that begins with %s", r, want[r.Address])
		}
	}
}

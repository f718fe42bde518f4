package sessions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

var tor = frrstate.Key{Peer: "192.0.2.2"}

func neighbor() *announce.Neighbor {
	return &announce.Neighbor{Peer: intent.Peer{Name: "tor", MyASN: 64512, PeerASN: 64513, Address: netip.MustParseAddr("192.0.2.2"), Port: 179}}
}

func up(ups int64, sent int64) *frrstate.Session {
	return &frrstate.Session{Key: tor, State: "Established", Ups: ups, UpSince: time.Unix(1_800_000_000+60*ups, 0), HoldTime: 9 * time.Second, Keepalive: 3 * time.Second,
		Families: []frrstate.Family{{Name: "ipv4Unicast", Sent: sent, Offered: true, Asked: true}}}
}

func down(ups int64, state string) *frrstate.Session {
	return &frrstate.Session{Key: tor, State: state, Ups: ups, LastReset: "BGP Notification received", SinceReset: time.Second}
}

func viewOf(s *frrstate.Session) view {
	return view{key: tor, neighbor: neighbor(), at: time.Now(), session: s}
}

// world is a Reporter with a log and a client that counts.
type world struct {
	*Reporter
	log    *bytes.Buffer
	mu     sync.Mutex
	writes int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1beta1.AddToScheme(scheme), v1beta2.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{log: &bytes.Buffer{}}
	count := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.writes++
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1beta1.BGPSessionState{}).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			count()
			return c.Create(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			count()
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			count()
			return c.Patch(ctx, o, p, opts...)
		},
	}).Build()
	w.Reporter = New(Options{Node: "n1", Namespace: "metallb-system", Client: c, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	w.wanted.known = true
	return w
}

// writer returns one that knows of no objects yet.
func (w *world) writer() *writer {
	return &writer{Reporter: w.Reporter, limits: map[string]limits{}, objects: &objects{
		byName: map[string]*v1beta1.BGPSessionState{}, gone: map[types.UID]bool{}, news: w.news,
	}}
}

func (w *world) object(t *testing.T) v1beta1.BGPSessionState {
	t.Helper()
	var o v1beta1.BGPSessionState
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "metallb-system", Name: name("n1", tor)}, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestGivenASessionWhenNothingChangesThenNothingIsWrittenAndWhatChangesIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		writer := w.writer()
		write := func(v view) int {
			before := w.writes
			w.show([]view{v})
			if _, err := writer.write(t.Context()); err != nil {
				t.Fatal(err)
			}
			return w.writes - before
		}
		if n := write(viewOf(up(1, 5))); n != 2 {
			t.Errorf("%d writes for a new session, want the object and its status", n)
		}
		// The same moment read again may come out a second later.
		same := up(1, 5)
		same.UpSince = same.UpSince.Add(time.Second)
		for range 100 {
			if n := write(viewOf(same)); n != 0 {
				t.Fatalf("%d writes although nothing changed", n)
			}
		}
		if n := write(viewOf(up(1, 6))); n != 1 {
			t.Errorf("%d writes for another prefix, want one", n)
		}
		if o := w.object(t); len(o.Status.Prefixes) != 1 || o.Status.Prefixes[0].Sent != 6 {
			t.Errorf("status %+v, want 6 prefixes sent", o.Status)
		}
		if n := write(viewOf(down(1, "Idle"))); n != 1 {
			t.Errorf("%d writes for a session that went down, want one", n)
		}
		if o := w.object(t); o.Status.BGPStatus != "Idle" || o.Status.EstablishedAt != nil || o.Status.Prefixes != nil || o.Status.Timers != nil {
			t.Errorf("status %+v, want nothing left of the session that was up", o.Status)
		}
	})
}

func TestGivenASessionThatFlapsWhenItIsWrittenThenWritesAreBoundedAndTheLastStateArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.writer().run(ctx) }()
		const flaps = 600
		for i := range flaps { // for a minute
			w.show([]view{viewOf(up(int64(i+1), 1))})
			time.Sleep(50 * time.Millisecond)
			w.show([]view{viewOf(down(int64(i+1), "Active"))})
			time.Sleep(50 * time.Millisecond)
		}
		w.show([]view{viewOf(up(flaps+1, 7))})
		synctest.Wait()
		allowed := writtenBurst + detailBurst + int(time.Minute/writtenEvery) + int(time.Minute/detailEvery) + 2
		w.mu.Lock()
		if w.writes > allowed {
			t.Errorf("%d writes in a minute of %d flaps, want at most %d", w.writes, flaps, allowed)
		}
		w.mu.Unlock()
		time.Sleep(writtenEvery + detailEvery)
		if o := w.object(t); o.Status.BGPStatus != "Established" || o.Status.Prefixes[0].Sent != 7 {
			t.Errorf("status %+v, want the last state", o.Status)
		}
		cancel()
		<-done
	})
}

func TestGivenASessionThatFlapsWhenItIsToldThenLinesAreBoundedAndTheLastStateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		teller := newTeller(w.Reporter)
		ups := int64(0)
		for range 600 { // for a minute
			ups++
			teller.tell(t.Context(), []view{viewOf(up(ups, 1))})
			time.Sleep(50 * time.Millisecond)
			teller.tell(t.Context(), []view{viewOf(down(ups, "Active"))})
			time.Sleep(50 * time.Millisecond)
		}
		if n, allowed := strings.Count(w.log.String(), "\n"), toldBurst+int(time.Minute/toldEvery); n > allowed {
			t.Errorf("%d lines in a minute, want at most %d", n, allowed)
		}
		last := up(ups+1, 1)
		for wait := teller.tell(t.Context(), []view{viewOf(last)}); ; wait = teller.tell(t.Context(), []view{viewOf(last)}) {
			lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
			if told := lines[len(lines)-1]; strings.Contains(told, "event=sessionUp") && strings.Contains(told, "again=") {
				break
			}
			if wait > toldEvery {
				t.Fatalf("nothing is to be told for %v, and the last lines are %q", wait, lines[len(lines)-2:])
			}
			time.Sleep(wait)
		}
	})
}

func TestGivenTransitionsWhenTheyAreToldThenTheLogHasTheKeysThatUsersKnow(t *testing.T) {
	w := newWorld(t)
	teller := newTeller(w.Reporter)
	wrong := down(0, "Idle")
	v := viewOf(wrong)
	v.trace = frrstate.Trace{Cause: frrstate.Cause{Errno: 111, Text: "Connection refused"}}
	for _, v := range []view{viewOf(down(0, "Connect")), v, v, viewOf(up(1, 1)), viewOf(up(1, 2)), viewOf(down(1, "Idle"))} {
		teller.tell(t.Context(), []view{v})
	}
	want := []string{
		`level=WARN msg="BGP session is not as it should be" event=sessionFailing peer=192.0.2.2:179 vrf=default name=tor localASN=64512 peerASN=64513 reason=ConnectionRefused detail=`,
		`level=INFO msg="BGP session established" event=sessionUp peer=192.0.2.2:179 vrf=default name=tor localASN=64512 peerASN=64513`,
		`level=WARN msg="BGP session down" event=sessionDown peer=192.0.2.2:179 vrf=default name=tor localASN=64512 peerASN=64513`,
	}
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), w.log)
	}
	for i, line := range lines {
		if !strings.Contains(line, want[i]) {
			t.Errorf("line %q, want %q", line, want[i])
		}
	}
}

func TestGivenPeersThatGoWhenTheirObjectsAreThereThenTheyGoAndOthersStay(t *testing.T) {
	w := newWorld(t)
	writer := w.writer()
	other := viewOf(&frrstate.Session{Key: frrstate.Key{VRF: "red", Peer: "2001:db8::2"}, State: "Active"})
	other.key = other.session.Key
	for _, views := range [][]view{{viewOf(up(1, 1)), other}, {other}} {
		w.show(views)
		if _, err := writer.write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var o v1beta1.BGPSessionState
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "metallb-system", Name: name("n1", tor)}, &o); !apierrors.IsNotFound(err) {
		t.Errorf("the object of the peer that is gone: %v, want none", err)
	}
	var left v1beta1.BGPSessionStateList
	if err := w.Client.List(t.Context(), &left); err != nil || len(left.Items) != 1 {
		t.Fatalf("%d objects, %v, want one", len(left.Items), err)
	}
	want := map[string]string{v1beta1.LabelNode: "n1", v1beta1.LabelPeer: "2001-db8--2", v1beta1.LabelVRF: "red"}
	if !maps.Equal(left.Items[0].Labels, want) {
		t.Errorf("labels %v, want %v", left.Items[0].Labels, want)
	}
}

func TestGivenAnySessionWhenItsObjectIsNamedThenTheNameIsValidAndNoOtherSessionHasIt(t *testing.T) {
	seen := map[string]frrstate.Key{}
	for _, nodeName := range []string{"n1", "n1-192", "node.example.com", strings.Repeat("n", 253)} {
		for _, key := range []frrstate.Key{
			tor, {VRF: "red", Peer: tor.Peer}, {Peer: "2001:db8::2"}, {Peer: "::1"}, {Peer: "fe80::1%eth0"}, {Peer: "eth0"}, {Peer: "Eth_0."}, {Peer: "eth0..1"}, {Peer: strings.Repeat("x", 15)},
		} {
			called := name(nodeName, key)
			if problems := validation.IsDNS1123Subdomain(called); len(problems) > 0 {
				t.Errorf("session %v of node %s is named %q: %v", key, nodeName, called, problems)
			}
			if other, ok := seen[called]; ok {
				t.Errorf("sessions %v and %v are both named %q", key, other, called)
			}
			seen[called] = key
			for k, value := range labels(nodeName, key) {
				if problems := validation.IsValidLabelValue(value); len(problems) > 0 || value == "" {
					t.Errorf("session %v of node %s: label %s is %q: %v", key, nodeName, k, value, problems)
				}
			}
		}
	}
}

// fakeFRR shows one session, and hangs, fails or tells of events as told.
type fakeFRR struct {
	mu     sync.Mutex
	state  string
	err    error
	shows  int
	events chan frr.SessionEvent
}

func (f *fakeFRR) Show(_ context.Context, daemon, _ string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shows++
	if f.err != nil || daemon != "bgpd" {
		return nil, f.err
	}
	return fmt.Appendf(nil, `{"default":{"192.0.2.2":{"bgpState":%q}}}`, f.state), nil
}

func (f *fakeFRR) SessionEvents(ctx context.Context) iter.Seq2[frr.SessionEvent, error] {
	return func(yield func(frr.SessionEvent, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-f.events:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (f *fakeFRR) set(state string, err error) (shows int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.err, shows, f.shows = state, err, f.shows, 0
	return shows
}

func TestGivenAReporterWhenFRRTellsHangsAndComesBackThenItLooksAtOnceAndSeldomOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fake := &fakeFRR{state: "Idle", events: make(chan frr.SessionEvent)}
		w.FRR, w.wanted.known = fake, false
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Start(ctx) }()
		time.Sleep(time.Minute)
		if shows := fake.set("Idle", nil); shows > 0 {
			t.Errorf("FRR was asked %d times before it is known what is wanted", shows)
		}
		report := func(applies ...node.Application) node.Report {
			routers := []announce.Router{{ASN: 64512, Neighbors: []announce.Neighbor{*neighbor()}}}
			return node.Report{InForce: true, Applies: applies, Node: announce.Node{BGP: announce.BGP{Routers: routers}}}
		}
		w.Publish(report())
		fake.events <- frr.SessionEvent{Kind: frr.SessionsFollowed}
		sees := func(what string, check func(view) bool) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			if views, _ := w.shown(); len(views) != 1 || !check(views[0]) {
				t.Errorf("%s: sees %+v", what, views)
			}
		}
		inState := func(state string) func(view) bool {
			return func(v view) bool { return v.session != nil && v.session.State == state && v.failure == "" }
		}
		sees("at first", inState("Idle"))

		fake.set("Established", nil)
		fake.events <- frr.SessionEvent{Kind: frr.SessionChanged, Event: &frrstate.Event{Kind: frrstate.EventState, Peer: tor.Peer, From: "OpenConfirm", To: "Established"}}
		sees("a second after it came up", inState("Established"))

		time.Sleep(10 * time.Minute)
		if shows := fake.set("Established", nil); shows > int(11*time.Minute/restingPause) {
			t.Errorf("FRR was asked %d times in ten minutes at rest", shows)
		}
		fake.set("", errors.New("no answer"))
		for range 1000 { // many events at once
			fake.events <- frr.SessionEvent{Kind: frr.SessionChanged, Event: &frrstate.Event{Kind: frrstate.EventConnect, Peer: tor.Peer}}
		}
		sees("while FRR does not answer for a moment", inState("Established"))
		if shows := fake.set("", errors.New("no answer")); shows > 10 {
			t.Errorf("FRR was asked %d times in a second of events", shows)
		}
		time.Sleep(patience)
		sees("when FRR does not answer for long", func(v view) bool { return strings.Contains(v.failure, "no answer") })
		fake.set("Established", nil)
		sees("when it answers again", inState("Established"))

		for range 200 { // a burst of changes
			w.Publish(report(node.Application{How: "delta"}))
			time.Sleep(50 * time.Millisecond)
		}
		if shows := fake.set("Established", nil); shows < 3 || shows > 10 {
			t.Errorf("FRR was asked %d times in ten seconds of changes that do not concern sessions, want some 7", shows)
		}
		time.Sleep(2 * sentAfter)
		if shows := fake.set("Established", nil); shows < 1 || shows > 3 {
			t.Errorf("FRR was asked %d times after the last change, want once or twice", shows)
		}
		fake.set("", errors.New("connection refused"))
		fake.events <- frr.SessionEvent{Kind: frr.SessionsLost}
		sees("a second after bgpd ended", func(v view) bool { return v.failure != "" })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestGivenStatusesWhenTheReasonsAreComparedWithTheDiagnosisThenTheyAreTheSame(t *testing.T) {
	var declared []string
	for _, r := range frrstate.Reasons() {
		declared = append(declared, string(r))
	}
	inAPI := []v1beta1.BGPSessionReason{
		v1beta1.SessionConnecting, v1beta1.SessionNoRoute, v1beta1.SessionHostUnreachable, v1beta1.SessionNoAnswer, v1beta1.SessionPasswordSuspected,
		v1beta1.SessionConnectionRefused, v1beta1.SessionConnectionClosed, v1beta1.SessionPeerASMismatch, v1beta1.SessionLocalASMismatch,
		v1beta1.SessionRouterIDCollision, v1beta1.SessionHoldTimeUnacceptable, v1beta1.SessionMissingAddressFamily, v1beta1.SessionOpenRefused,
		v1beta1.SessionHoldTimerExpired, v1beta1.SessionPeerShutDown, v1beta1.SessionPeerDeconfigured, v1beta1.SessionCeased, v1beta1.SessionBFDDown,
		v1beta1.SessionWaitingForNeighbor, v1beta1.SessionNotConfigured, v1beta1.SessionFRRUnavailable,
	}
	var offered []string
	for _, r := range inAPI {
		offered = append(offered, string(r))
	}
	slices.Sort(declared)
	slices.Sort(offered)
	if !slices.Equal(declared, offered) {
		t.Errorf("diagnosis %v, API %v, want the same reasons", declared, offered)
	}
}

func TestGivenBFDWhenItIsUpThenTheStatusHasTheIntervalsThatAreInForce(t *testing.T) {
	v := viewOf(up(1, 1))
	v.neighbor.BFDProfile = "fast"
	v.bfd = &frrstate.BFDSession{Key: tor, Status: "up", Transmit: 100 * time.Millisecond, Receive: 300 * time.Millisecond, RemoteReceive: 200 * time.Millisecond, RemoteTransmit: 50 * time.Millisecond, RemoteMultiplier: 5}
	s := v.status("n1", &v1beta1.BGPSessionStateStatus{})
	if want := (v1beta1.BFDIntervals{TransmitMilliseconds: 200, ReceiveMilliseconds: 300, DetectMultiplier: 5}); s.BFDStatus != "up" || s.BFDIntervals == nil || *s.BFDIntervals != want {
		t.Errorf("BFD %s, intervals %+v, want up and %+v", s.BFDStatus, s.BFDIntervals, want)
	}
	v.bfd.Status = "down"
	if s := v.status("n1", &s); s.BFDStatus != "down" || s.BFDIntervals != nil || s.Diagnosis == nil || s.Diagnosis.Reason != v1beta1.SessionBFDDown {
		t.Errorf("status %+v, want BFD down without intervals, and said so", s)
	}
	var none metav1.Time
	if got := moment(&none, time.Time{}); got != nil {
		t.Errorf("a moment that is not known is %v", got)
	}
}

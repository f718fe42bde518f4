package sessions

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// Reasons of events on BGPPeers, and the same words in the log.
const (
	eventUp      = "sessionUp"
	eventDown    = "sessionDown"
	eventFailing = "sessionFailing"
)

// A session that flaps is told of toldBurst times, and then once every toldEvery with what there was to say then. The last state is always told.
const (
	toldBurst = 10
	toldEvery = 30 * time.Second
)

// said is what was told of a session last.
type said struct {
	// up is true when it was told to be up, since ups times.
	up    bool
	ups   int64
	wrong frrstate.Reason
	limit *rate.Limiter
	// neighbor is what is wanted of the session, since when it came up: FRR counts anew what a router in a range opens again.
	neighbor *announce.Neighbor
	since    time.Time
}

// teller logs what happens to sessions and tells it in events on their BGPPeers. It belongs to one goroutine.
type teller struct {
	*Reporter
	said map[frrstate.Key]*said
}

func newTeller(r *Reporter) *teller { return &teller{Reporter: r, said: map[frrstate.Key]*said{}} }

// tell tells what changed since it was told last, and returns when to come back for what had to wait.
func (t *teller) tell(ctx context.Context, views []view) time.Duration {
	due := restingPause
	present := map[frrstate.Key]bool{}
	for i := range views {
		v := &views[i]
		present[v.key] = true
		s := t.said[v.key]
		if s == nil {
			s = &said{limit: rate.NewLimiter(rate.Every(toldEvery), toldBurst)}
			t.said[v.key] = s
		}
		due = min(due, t.tellOf(ctx, s, v))
	}
	for key, s := range t.said {
		if !present[key] {
			due = min(due, t.forget(ctx, key, s))
		}
	}
	return due
}

// tellOf tells what is new of one session, and returns when to come back if it had to wait.
func (t *teller) tellOf(ctx context.Context, s *said, v *view) time.Duration {
	s.neighbor = v.neighbor
	what := s.news(v)
	if what == nil {
		return restingPause
	}
	if wait := reserve(s.limit); wait > 0 {
		return wait
	}
	s.take(v)
	t.log(ctx, v, what)
	t.event(ctx, v, what)
	return restingPause
}

// forget drops what was told of a session that is not there any more. That a router in a range has gone is told first, and how often there was
// something to tell of it is remembered for a while: it may come back soon, and go again.
func (t *teller) forget(ctx context.Context, key frrstate.Key, s *said) time.Duration {
	due := restingPause
	if s.neighbor.Listens() && t.stillWanted(key, s.neighbor) {
		if s.up {
			due = t.tellOf(ctx, s, &view{key: key, neighbor: s.neighbor, at: time.Now(), trace: t.traceOf(key.Peer), attempt: true})
		}
		if s.up || s.limit.Tokens() < toldBurst {
			return due
		}
	}
	delete(t.said, key)
	return due
}

// news is something to tell.
type news struct {
	event   string
	message string
	wrong   frrstate.Diagnosis
	// again counts how often the session came up meanwhile without being told of.
	again int64
}

// news returns what there is to tell of a session, nil for nothing.
func (s *said) news(v *view) *news {
	wrong := v.diagnose()
	up, ups := v.established(), int64(0)
	if v.session != nil {
		ups = v.session.Ups
	}
	switch {
	case up && (!s.up || ups != s.ups || v.neighbor.Listens() && s.since.Sub(v.session.UpSince).Abs() > frrstate.ClockSlack):
		return &news{event: eventUp, message: "BGP session established", wrong: wrong, again: max(0, ups-s.ups-1)}
	case !up && s.up:
		return &news{event: eventDown, message: "BGP session down", wrong: wrong, again: max(0, ups-s.ups)}
	case wrong.Reason != s.wrong && wrong.Reason != frrstate.ReasonNone && wrong.Reason != frrstate.ReasonConnecting && wrong.Reason != frrstate.ReasonNotConfigured:
		return &news{event: eventFailing, message: "BGP session is not as it should be", wrong: wrong}
	}
	if wrong.Reason == frrstate.ReasonNone {
		s.wrong = wrong.Reason // what is wrong next is news again
	}
	return nil
}

// take notes what is being told.
func (s *said) take(v *view) {
	s.up, s.wrong = v.established(), v.diagnose().Reason
	if v.session != nil {
		s.ups, s.since = v.session.Ups, v.session.UpSince
	}
}

// diagnose says what is wrong with the session.
func (v *view) diagnose() frrstate.Diagnosis {
	c := frrstate.Case{Wanted: v.neighbor, Failure: v.failure, Session: v.session, BFD: v.bfd, Trace: v.trace}
	if v.neighbor.Listens() {
		c.Router = v.key.Peer
	}
	return frrstate.Diagnose(c)
}

// asn returns the AS numbers of the two ends as far as they are known.
func (v *view) asn() (local, peer string) {
	local = fmt.Sprint(cmp.Or(v.neighbor.LocalASN, v.neighbor.MyASN))
	switch {
	case v.neighbor.DynamicASN == intent.DynamicASNNone:
		peer = fmt.Sprint(v.neighbor.PeerASN)
	case v.session != nil && v.session.RemoteAS != 0:
		peer = fmt.Sprint(v.session.RemoteAS)
	default:
		peer = string(v.neighbor.DynamicASN)
	}
	return local, peer
}

func (t *teller) log(ctx context.Context, v *view, n *news) {
	local, peer := v.asn()
	attrs := []any{
		"event", n.event, "peer", v.key.Label(v.neighbor.Port), "vrf", v.key.VRFLabel(), "name", v.neighbor.Name, "localASN", local, "peerASN", peer,
	}
	if n.again > 0 {
		attrs = append(attrs, "again", n.again)
	}
	if n.wrong.Reason != frrstate.ReasonNone {
		attrs = append(attrs, "reason", n.wrong.Reason, "detail", n.wrong.Message)
	}
	level := slog.LevelInfo
	if n.event != eventUp {
		level = slog.LevelWarn
	}
	t.Log.Log(ctx, level, n.message, attrs...)
}

// event tells the same on the BGPPeer. An event is a courtesy: what keeps it from being written is not worth a word beyond the log line above.
func (t *teller) event(ctx context.Context, v *view, n *news) {
	about := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: v1beta2.GroupVersion.String(), Kind: "BGPPeer"}}
	limited, cancel := context.WithTimeout(ctx, showLimit)
	defer cancel()
	// Who shows the events of an object looks for its UID.
	if err := t.Client.Get(limited, types.NamespacedName{Namespace: t.Namespace, Name: v.neighbor.Name}, about); err != nil {
		return
	}
	var text strings.Builder
	fmt.Fprintf(&text, "session of node %q with %s", t.Node, v.key.Label(v.neighbor.Port))
	if v.key.VRF != "" {
		fmt.Fprintf(&text, " in VRF %s", v.key.VRF)
	}
	switch n.event {
	case eventUp:
		text.WriteString(" is up")
	case eventDown:
		text.WriteString(" is down")
	default:
		text.WriteString(" is not as it should be")
	}
	if n.again > 0 {
		fmt.Fprintf(&text, ", after %d times up and down", n.again)
	}
	if n.wrong.Reason != frrstate.ReasonNone {
		fmt.Fprintf(&text, ": %s: %s", n.wrong.Reason, n.wrong.Message)
	}
	kind := corev1.EventTypeNormal
	if n.event != eventUp {
		kind = corev1.EventTypeWarning
	}
	t.recorder.Event(about, kind, n.event, cut(text.String()))
}

package serving

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// gate is a guarded handler beside an API server that knows the tokens "reader" and "stranger", of whom only the reader may get /metrics.
type gate struct {
	*testing.T
	http.Handler
	mu  sync.Mutex
	now time.Time
	// away makes the API server fail. tokens are those that it has been asked about, accesses what of whom.
	away     bool
	tokens   []string
	accesses []authorizationv1.SubjectAccessReviewSpec
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{T: t, now: time.Unix(1, 0)}
	server := httptest.NewServer(http.HandlerFunc(g.review))
	t.Cleanup(server.Close)
	filter, err := newGuard(func() time.Time { return g.now })(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "figures") })
	if g.Handler, err = filter(logr.Discard(), served); err != nil {
		t.Fatal(err)
	}
	return g
}

// review plays the API server.
func (g *gate) review(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away {
		http.Error(w, "away", http.StatusInternalServerError)
		return
	}
	var answer any
	switch r.URL.Path {
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		var review authenticationv1.TokenReview
		g.decode(r, &review)
		g.tokens = append(g.tokens, review.Spec.Token)
		if name := review.Spec.Token; name == "reader" || name == "stranger" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: name, UID: "u",
				Groups: []string{"scrapers"}, Extra: map[string]authenticationv1.ExtraValue{"pod": {"a", "b"}}}}
		}
		answer = review
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		var review authorizationv1.SubjectAccessReview
		g.decode(r, &review)
		g.accesses = append(g.accesses, review.Spec)
		review.Status.Allowed = review.Spec.User == "reader" && review.Spec.NonResourceAttributes.Verb == "get"
		answer = review
	default:
		g.Errorf("the API server is asked for %s", r.URL.Path)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		g.Error(err)
	}
}

func (g *gate) decode(r *http.Request, into any) {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		g.Error(err)
	}
}

// expect makes a request with a header Authorization and compares the answer and how many questions it took so far in all.
func (g *gate) expect(method, authorization string, status int, text string, reviews int) {
	g.Helper()
	r := httptest.NewRequestWithContext(g.Context(), method, "/metrics", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if w.Code != status || !strings.Contains(w.Body.String(), text) {
		g.Errorf("%s with %q: %d %q, wanted %d %q", method, authorization, w.Code, w.Body, status, text)
	}
	if status != http.StatusOK && strings.Contains(w.Body.String(), "figures") {
		g.Errorf("%s with %q: the figures are shown with status %d", method, authorization, status)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if asked := len(g.tokens) + len(g.accesses); asked != reviews {
		g.Errorf("%s with %q: %d reviews so far, wanted %d", method, authorization, asked, reviews)
	}
}

func TestGivenNoBearerTokenWhenMetricsAreReadThenTheyAreRefusedAndNobodyIsAsked(t *testing.T) {
	g := newGate(t)
	for _, authorization := range []string{"", "Bearer", "Bearer  ", "Basic cmVhZGVy", "reader", "Bearerreader"} {
		g.expect("GET", authorization, http.StatusUnauthorized, "wanted a bearer token", 0)
	}
}

func TestGivenWhoMayReadWhenMetricsAreReadThenTheAPIServerIsAskedOnceAMinute(t *testing.T) {
	g := newGate(t)
	g.expect("GET", "Bearer reader", http.StatusOK, "figures", 2)
	g.now = g.now.Add(allowedFor - 1)
	g.expect("GET", "bearer reader", http.StatusOK, "figures", 2)
	g.now = g.now.Add(1)
	g.expect("GET", "Bearer reader", http.StatusOK, "figures", 4)
}

func TestGivenWhoMayNotReadWhenMetricsAreReadThenTheyAreRefusedByNameAndAskedForAgainSoon(t *testing.T) {
	g := newGate(t)
	g.expect("GET", "Bearer stranger", http.StatusForbidden, "stranger may not get /metrics", 2)
	g.expect("GET", "Bearer nobody", http.StatusUnauthorized, "does not know the bearer token", 3)
	g.expect("GET", "Bearer stranger", http.StatusForbidden, "stranger may not get /metrics", 3)
	g.expect("GET", "Bearer nobody", http.StatusUnauthorized, "does not know the bearer token", 3)
	g.now = g.now.Add(refusedFor)
	g.expect("GET", "Bearer nobody", http.StatusUnauthorized, "does not know the bearer token", 4)
}

func TestGivenWhoMayGetWhenAnotherMethodIsUsedThenItIsAQuestionOfItsOwn(t *testing.T) {
	g := newGate(t)
	g.expect("GET", "Bearer reader", http.StatusOK, "figures", 2)
	g.expect("POST", "Bearer reader", http.StatusForbidden, "reader may not post /metrics", 4)
}

func TestGivenAKnownTokenWhenAccessIsReviewedThenTheAPIServerIsToldAllItSaidAboutTheUser(t *testing.T) {
	g := newGate(t)
	g.expect("GET", "Bearer reader", http.StatusOK, "figures", 2)
	want := authorizationv1.SubjectAccessReviewSpec{User: "reader", UID: "u", Groups: []string{"scrapers"},
		Extra:                 map[string]authorizationv1.ExtraValue{"pod": {"a", "b"}},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}}
	if !reflect.DeepEqual(g.accesses[0], want) {
		t.Errorf("asked about %+v, wanted %+v", g.accesses[0], want)
	}
}

func TestGivenNoAPIServerWhenMetricsAreReadThenTheyAreRefusedUntilItIsBack(t *testing.T) {
	g := newGate(t)
	g.away = true
	g.expect("GET", "Bearer reader", http.StatusServiceUnavailable, "does not say whether you may read this", 0)
	g.away = false
	g.expect("GET", "Bearer reader", http.StatusOK, "figures", 2)
	// What it said before holds while it is away, but not for longer.
	g.away = true
	g.now = g.now.Add(allowedFor - 1)
	g.expect("GET", "Bearer reader", http.StatusOK, "figures", 2)
	g.now = g.now.Add(1)
	g.expect("GET", "Bearer reader", http.StatusServiceUnavailable, "does not say whether you may read this", 2)
}

func TestGivenManyTokensWhenAnswersAreRememberedThenNoMoreThanTheLimit(t *testing.T) {
	g := &guard{now: func() time.Time { return time.Unix(1, 0) }, answers: map[question]answer{}}
	for i := range 3 * maxAnswers {
		var q question
		copy(q[:], fmt.Sprint(i))
		g.remember(q, answer{status: http.StatusUnauthorized})
		if _, ok := g.recall(q); !ok || len(g.answers) > maxAnswers {
			t.Fatalf("after %d answers: %d remembered, the last among them: %v", i+1, len(g.answers), ok)
		}
	}
}

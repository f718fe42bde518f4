package serving

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// reviewTimeout bounds how long the API server has for its answers about one request.
	reviewTimeout = 10 * time.Second
	// allowedFor and refusedFor are how long an answer holds: so long may who lost the right still read metrics, and so long waits who got it.
	allowedFor = time.Minute
	refusedFor = 5 * time.Second
	// maxAnswers is how many answers are remembered at most.
	maxAnswers = 1024
)

// guard lets through whom the API server knows by the bearer token (TokenReview) and allows the request (SubjectAccessReview of its path
// and method). Where the API server does not answer nobody gets through. It does what controller-runtime's filters package does, which has
// k8s.io/apiserver, and with it gRPC, CEL and OpenTelemetry, in every program that uses it: 10 MB of memory each.
type guard struct {
	// tokens and accesses are clients for the groups of the two kinds.
	tokens, accesses rest.Interface
	now              func() time.Time

	mu      sync.Mutex
	answers map[question]answer
}

// question is the hash of token, method and path: no token is kept, and each question is of one size.
type question [sha256.Size]byte

// answer is what became of a question: an HTTP status, and for a refusal why.
type answer struct {
	status int
	why    string
	until  time.Time
}

// newGuard returns a provider of filters, for the metrics server of controller-runtime.
func newGuard(now func() time.Time) func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
	return func(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
		scheme := runtime.NewScheme()
		if err := errors.Join(authenticationv1.AddToScheme(scheme), authorizationv1.AddToScheme(scheme)); err != nil {
			return nil, fmt.Errorf("registering the kinds of reviews: %w", err)
		}
		codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
		tokens, err := clientFor(config, client, authenticationv1.SchemeGroupVersion, codecs)
		if err != nil {
			return nil, fmt.Errorf("setting up TokenReviews for metrics: %w", err)
		}
		accesses, err := clientFor(config, client, authorizationv1.SchemeGroupVersion, codecs)
		if err != nil {
			return nil, fmt.Errorf("setting up SubjectAccessReviews for metrics: %w", err)
		}
		g := &guard{tokens: tokens, accesses: accesses, now: now, answers: map[question]answer{}}
		return g.filter, nil
	}
}

// clientFor returns a client for one group. Those of client-go for these groups know the kinds of all groups.
func clientFor(config *rest.Config, client *http.Client, group schema.GroupVersion, codecs runtime.NegotiatedSerializer) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = "/apis", &group, codecs
	return rest.RESTClientForConfigAndClient(config, client)
}

// filter puts the guard before a handler.
func (g *guard) filter(log logr.Logger, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := g.judge(r)
		switch {
		case err != nil:
			log.Error(err, "metrics refused: the API server does not say to whom they may be shown", "client", r.RemoteAddr)
			http.Error(w, "the API server does not say whether you may read this", http.StatusServiceUnavailable)
		case a.status != http.StatusOK:
			log.V(1).Info("metrics refused", "client", r.RemoteAddr, "reason", a.why)
			if a.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			http.Error(w, a.why, a.status)
		default:
			next.ServeHTTP(w, r)
		}
	}), nil
}

// judge answers for a request from memory, or asks. The error is that nobody answered.
func (g *guard) judge(r *http.Request) (answer, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return answer{status: http.StatusUnauthorized, why: "wanted a bearer token in the header Authorization"}, nil
	}
	verb := strings.ToLower(r.Method)
	// Neither a header nor a method has a line break in it.
	q := question(sha256.Sum256([]byte(token + "\n" + verb + "\n" + r.URL.Path)))
	if a, ok := g.recall(q); ok {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), reviewTimeout)
	defer cancel()
	a, err := g.ask(ctx, token, verb, r.URL.Path)
	if err != nil {
		return answer{}, err
	}
	g.remember(q, a)
	return a, nil
}

// ask has the API server say who has a token, and whether that one may do something with a path.
func (g *guard) ask(ctx context.Context, token, verb, path string) (answer, error) {
	who := authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := g.tokens.Post().Resource("tokenreviews").Body(&who).Do(ctx).Into(&who); err != nil {
		return answer{}, fmt.Errorf("reviewing the token: %w", err)
	}
	if !who.Status.Authenticated {
		return answer{status: http.StatusUnauthorized, why: "the API server does not know the bearer token"}, nil
	}
	user := who.Status.User
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: map[string]authorizationv1.ExtraValue{},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}
	for key, values := range user.Extra {
		spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	may := authorizationv1.SubjectAccessReview{Spec: spec}
	if err := g.accesses.Post().Resource("subjectaccessreviews").Body(&may).Do(ctx).Into(&may); err != nil {
		return answer{}, fmt.Errorf("reviewing whether %s may %s %s: %w", user.Username, verb, path, err)
	}
	if !may.Status.Allowed {
		return answer{status: http.StatusForbidden, why: fmt.Sprintf("%s may not %s %s: wanted a ClusterRole with this verb for this nonResourceURL",
			user.Username, verb, path)}, nil
	}
	return answer{status: http.StatusOK}, nil
}

func (g *guard) recall(q question) (answer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, ok := g.answers[q]
	return a, ok && g.now().Before(a.until)
}

// remember keeps an answer. When there are too many the old ones go, and all if none is old: they are asked for again.
func (g *guard) remember(q question, a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if len(g.answers) >= maxAnswers {
		maps.DeleteFunc(g.answers, func(_ question, old answer) bool { return !now.Before(old.until) })
	}
	if len(g.answers) >= maxAnswers {
		clear(g.answers)
	}
	a.until = now.Add(refusedFor)
	if a.status == http.StatusOK {
		a.until = now.Add(allowedFor)
	}
	g.answers[q] = a
}

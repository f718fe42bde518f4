package operator

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// Given the API server's answers, when the probe asks again and again, then it passes once the rights were there or cannot be asked for, asks no more then,
// and otherwise says what is missing, in the log once.
func TestRights(t *testing.T) {
	allowed, denied := &authorizationv1.SelfSubjectAccessReview{}, &authorizationv1.SelfSubjectAccessReview{}
	allowed.Status.Allowed = true
	forbidden := apierrors.NewForbidden(authorizationv1.Resource("selfsubjectaccessreviews"), "", errors.New("no"))
	for name, row := range map[string]struct {
		answer *authorizationv1.SelfSubjectAccessReview
		err    error
		words  string
		asked  int
		logged int
	}{
		"allowed":        {answer: allowed, asked: 1},
		"denied":         {answer: denied, words: "no rights in its namespace operators", asked: 3, logged: 1},
		"not to be told": {err: forbidden, asked: 1},
		"away":           {err: errors.New("connection refused"), words: "connection refused", asked: 3},
	} {
		t.Run(name, func(t *testing.T) {
			clients := fake.NewClientset()
			asked, logged := 0, 0
			clients.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				asked++
				question := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).Spec.ResourceAttributes
				if question.Namespace != "operators" || question.Resource != "metallbs" || question.Group != "metallb.io" || question.Verb != "list" {
					t.Errorf("asked for %+v", question)
				}
				return true, row.answer, row.err
			})
			log := funcr.New(func(string, string) { logged++ }, funcr.Options{})
			r := &rights{clients: clients, namespace: "operators", log: log}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				err := r.check(request)
				if (err == nil) != (row.words == "") || err != nil && !strings.Contains(err.Error(), row.words) {
					t.Errorf("error %v: wanted %q", err, row.words)
				}
			}
			if asked != row.asked || logged != row.logged {
				t.Errorf("asked %d times, logged %d: wanted %d, %d", asked, logged, row.asked, row.logged)
			}
		})
	}
}

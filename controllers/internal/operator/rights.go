package operator

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// rightsLimit is how long the API server may take to say what the operator may do.
const rightsLimit = 2 * time.Second

// rights says whether the operator may read MetalLB objects in its own namespace. Installed into another namespace than its rights are for, it would
// only wait to be elected, and look well: OLM would call the installation a success of which nothing ever comes.
type rights struct {
	clients   kubernetes.Interface
	namespace string
	log       logr.Logger
	// held is remembered: who had the rights once is told by failing requests if they are taken away.
	held atomic.Bool
	once sync.Once
}

// check passes when the rights are there, or when the operator may not even ask.
func (r *rights) check(request *http.Request) error {
	if r.held.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(request.Context(), rightsLimit)
	defer cancel()
	asked := authorizationv1.ResourceAttributes{Namespace: r.namespace, Verb: "list", Group: v1beta1.GroupVersion.Group, Resource: "metallbs"}
	review, err := r.clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &asked},
	}, metav1.CreateOptions{})
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return fmt.Errorf("ask what the operator may do in namespace %s: %w", r.namespace, err)
	case !review.Status.Allowed:
		err := fmt.Errorf("the operator has no rights in its namespace %s: its Role and RoleBinding are for another one; install it into the namespace that they name, metallb-system unless changed (docs/olm.md)", r.namespace)
		r.once.Do(func() { r.log.Error(err, "not ready", "event", "noRights", "namespace", r.namespace) })
		return err
	}
	r.held.Store(true)
	return nil
}

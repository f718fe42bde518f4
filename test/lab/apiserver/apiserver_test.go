package apiserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

func client(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func loadBalancer() *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}}}
}

func TestGivenTwoServersWhenAServiceIsCreatedInOneThenTheOtherDoesNotKnowIt(t *testing.T) {
	a := client(t, apiserver.Run(t, apiserver.Options{}).Config())
	b := client(t, apiserver.Run(t, apiserver.Options{}).Config())
	created, err := a.CoreV1().Services("default").Create(t.Context(), loadBalancer(), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if created.Spec.ClusterIP == "" {
		t.Error("the Service has no cluster address")
	}
	created.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
	if _, err := a.CoreV1().Services("default").UpdateStatus(t.Context(), created, metav1.UpdateOptions{}); err != nil {
		t.Errorf("write the Service's status: %v", err)
	}
	if _, err := b.CoreV1().Services("default").Get(t.Context(), "web", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the other server answered %v, want not found", err)
	}
}

func TestGivenAnotherUserWhenItActsThenTheServerKnowsItAndRBACDecides(t *testing.T) {
	server := apiserver.Run(t, apiserver.Options{})
	config, err := server.ConfigFor("jane", "team")
	if err != nil {
		t.Fatal(err)
	}
	jane := client(t, config)
	who, err := jane.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := who.Status.UserInfo; got.Username != "jane" || got.Groups[0] != "team" {
		t.Errorf("known as %s in %v, want jane in team", got.Username, got.Groups)
	}
	if _, err := jane.CoreV1().Services("default").Create(t.Context(), loadBalancer(), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("creating a Service gave %v, want forbidden", err)
	}
}

func TestGivenTheControllerManagerWhenANamespaceIsDeletedThenItGoesAway(t *testing.T) {
	c := client(t, apiserver.Run(t, apiserver.Options{ControllerManager: true}).Config())
	if _, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gone"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the default ServiceAccount", func(ctx context.Context) (bool, error) {
		_, err := c.CoreV1().ServiceAccounts("gone").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	if err := c.CoreV1().Namespaces().Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the namespace", func(ctx context.Context) (bool, error) {
		_, err := c.CoreV1().Namespaces().Get(ctx, "gone", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func TestGivenAFlagTheServerDoesNotKnowWhenStartedThenItsWordsAreInTheError(t *testing.T) {
	_, err := apiserver.Start(t.Context(), apiserver.Options{Flags: []string{"--no-such-flag"}})
	if err == nil {
		t.Fatal("the server started with a flag that does not exist")
	}
	if want := "unknown flag: --no-such-flag"; !contains(err, want) {
		t.Errorf("error %v, want it to hold %q", err, want)
	}
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 60*time.Second, true, condition); err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

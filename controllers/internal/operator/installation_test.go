package operator_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

const namespace = "metallb-system"

// patience bounds every wait of these tests.
const patience = 2 * time.Minute

// cluster is a real control plane with config/default applied and the operator running in it with the rights of its own
// ServiceAccount, no others.
type cluster struct {
	client.Client // the administrator's
	server        *apiserver.Server
	writes        *writes
	// ahead is by how much the operator's clock is.
	ahead atomic.Int64
	// end ends the operator that runs, and atEnd has something done when the cluster ends.
	end   func()
	atEnd func(func())
}

// writes are the requests of the operator that may change something.
type writes struct {
	mutex sync.Mutex
	seen  []string
}

func (w *writes) all() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return append([]string(nil), w.seen...)
}

type recorder struct {
	next   http.RoundTripper
	writes *writes
}

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	// The lease of the leader election is renewed all the time.
	if request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/leases") {
		r.writes.mutex.Lock()
		r.writes.seen = append(r.writes.seen, request.Method+" "+request.URL.Path)
		r.writes.mutex.Unlock()
	}
	return r.next.RoundTrip(request)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterWith(t, func() []*unstructured.Unstructured { return split(t, kustomize(t, "config/default")) })
}

// newClusterWith is newCluster with something else than config/default.
func newClusterWith(t *testing.T, installation func() []*unstructured.Unstructured) *cluster {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	server := apiserver.Run(t, apiserver.Options{ControllerManager: true})
	scheme, err := operator.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Client: admin, server: server, writes: &writes{}, atEnd: t.Cleanup}
	c.install(t, installation())
	c.run(t, c.operatorIn(t, namespace), environment())
	return c
}

// operatorIn is how the operator's ServiceAccount of a namespace reaches the API server.
func (c *cluster) operatorIn(t *testing.T, namespace string) *rest.Config {
	t.Helper()
	account := "system:serviceaccount:" + namespace + ":metallb-operator"
	own, err := c.server.ConfigFor(account, "system:serviceaccounts", "system:serviceaccounts:"+namespace, "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// install applies config/default, or what stands for it, but for the operator's Deployment: the operator runs in the test.
func (c *cluster) install(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			continue
		}
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatalf("create %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(object.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(object.Object, "spec", "names", "kind")
		eventually(t, "the API server serves "+kind, func(context.Context) error {
			_, err := c.RESTMapper().RESTMapping(schema.GroupKind{Group: group, Kind: kind})
			return err
		})
	}
	eventually(t, "the API server serves MetalLB objects", func(ctx context.Context) error {
		return c.List(ctx, &v1beta1.MetalLBList{})
	})
}

func split(t *testing.T, text []byte) []*unstructured.Unstructured {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
}

// environment is what the operator installs unless a test says otherwise.
func environment() manifests.Environment {
	return manifests.Environment{
		Namespace: namespace, ControllerImage: "example.com/lb:v1", SpeakerImage: "example.com/lb:v1", FRRImage: "example.com/frr:v1",
		MetricsPort: 9120, HealthPort: 17472, MemberPort: 7946, APIServerPorts: []int32{443}, OperatorPorts: []int32{8080}, OperatorMetricsPort: 8443,
	}
}

// run starts the operator; it ends with the cluster, or before by end.
func (c *cluster) run(t *testing.T, as *rest.Config, env manifests.Environment) {
	t.Helper()
	as = rest.CopyConfig(as)
	as.Wrap(func(next http.RoundTripper) http.RoundTripper { return recorder{next, c.writes} })
	mgr, err := operator.NewManager(as, operator.ManagerOptions{
		Namespace: namespace, LeaderElection: true, MetricsAddress: "0", HealthAddress: "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	r := operator.New(operator.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("metallb-operator"), Random: rand.Reader,
		Now:         func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) },
		Environment: env,
		LookEvery:   100 * time.Millisecond,
	})
	if err := r.SetUp(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	c.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended: %v", err)
		}
	})
	c.atEnd(c.end)
}

// everyKind is a spec that takes an object of every kind that the operator makes.
func everyKind() v1beta1.MetalLBSpec {
	return v1beta1.MetalLBSpec{ControllerReplicas: new(int32(2)), Layer2ExcludeInterfaces: []string{"^storage$"}}
}

// metallb creates a MetalLB object.
func (c *cluster) metallb(t *testing.T, name string, spec v1beta1.MetalLBSpec) *v1beta1.MetalLB {
	t.Helper()
	object := &v1beta1.MetalLB{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: spec}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// edit changes the MetalLB object's spec.
func (c *cluster) edit(t *testing.T, change func(*v1beta1.MetalLBSpec)) {
	t.Helper()
	object := &v1beta1.MetalLB{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: v1beta1.MetalLBName}, object); err != nil {
		t.Fatal(err)
	}
	before := object.DeepCopy()
	change(&object.Spec)
	if err := c.Patch(t.Context(), object, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// awaitCondition waits until the condition has the status and a message that contains every text, for the current spec.
func (c *cluster) awaitCondition(t *testing.T, name, kind string, status metav1.ConditionStatus, texts ...string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	eventually(t, fmt.Sprintf("condition %s of %s is %s with %q", kind, name, status, texts), func(ctx context.Context) error {
		object := &v1beta1.MetalLB{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
			return err
		}
		have := meta.FindStatusCondition(object.Status.Conditions, kind)
		if have == nil || have.Status != status || have.ObservedGeneration != object.Generation {
			return fmt.Errorf("generation %d, conditions: %+v", object.Generation, object.Status.Conditions)
		}
		for _, text := range texts {
			if !strings.Contains(have.Message, text) {
				return fmt.Errorf("message: %s", have.Message)
			}
		}
		found = *have
		return nil
	})
	return found
}

// awaitGone waits until the object does not exist.
func (c *cluster) awaitGone(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s is gone", object, object.GetName()), func(ctx context.Context) error {
		err := c.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there, error %w, finalizers %v, deleted at %v", err, object.GetFinalizers(), object.GetDeletionTimestamp())
	})
}

// children are the objects of an installation, empty but for their names.
func children(t *testing.T, c client.Client, spec v1beta1.MetalLBSpec) []client.Object {
	t.Helper()
	var out []client.Object
	for _, o := range manifests.Desired(spec, manifests.Environment{Namespace: namespace, OperatorPorts: []int32{8080}}) {
		empty, err := c.Scheme().New(o.GetObjectKind().GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		object := empty.(client.Object)
		object.SetName(o.GetName())
		object.SetNamespace(o.GetNamespace())
		out = append(out, object)
	}
	return out
}

// awaitChildren waits until every object of the installation exists.
func (c *cluster) awaitChildren(t *testing.T, spec v1beta1.MetalLBSpec) []client.Object {
	t.Helper()
	all := children(t, c, spec)
	eventually(t, "all objects of the installation exist", func(ctx context.Context) error {
		for _, object := range all {
			if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
		}
		return nil
	})
	return all
}

// eventually polls until check passes.
func eventually(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s until %s: %v", patience, what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

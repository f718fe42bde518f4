package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/crd"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/migrate"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/port"
)

const (
	// top is the top folder of the checkout, samples where the clusters to migrate are written down.
	top     = "../../.."
	samples = "../../internal/migrate/testdata"
	// patience is how long a test waits for something to become true.
	patience = 2 * time.Minute
)

// cluster is a real API server in which MetalLB is installed, with this product's programs and a folder to work in.
type cluster struct {
	client.Client
	admin  *rest.Config
	config string // a kubeconfig
	dir    string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	server := apiserver.Run(t, apiserver.Options{})
	c := &cluster{dir: t.TempDir(), admin: server.Config()}
	c.config = filepath.Join(c.dir, "kubeconfig")
	if err := os.WriteFile(c.config, server.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1beta1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.Client, err = client.New(server.Config(), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"config", "charts"} {
		target, err := filepath.Abs(filepath.Join(top, folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(c.dir, folder)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", c.dir+"/", ".", "../controller", "../operator").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return c
}

// metallbKinds are those that MetalLB has.
var metallbKinds = []string{"IPAddressPool", "BGPPeer", "BGPAdvertisement", "L2Advertisement", "BFDProfile", "Community"}

// defineMetalLB creates definitions as MetalLB's are: of its kinds alone, asking MetalLB about versions, and loose enough for every object.
func (c *cluster) defineMetalLB(t *testing.T) {
	t.Helper()
	definitions, err := crd.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range definitions {
		if !slices.Contains(metallbKinds, d.Spec.Names.Kind) {
			continue
		}
		for i := range d.Spec.Versions {
			d.Spec.Versions[i].AdditionalPrinterColumns = nil
			d.Spec.Versions[i].Schema.OpenAPIV3Schema = &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
		}
		if d.Spec.Names.Kind == "BGPPeer" {
			d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter, Webhook: &apiextensionsv1.WebhookConversion{
				ConversionReviewVersions: []string{"v1beta1", "v1beta2"},
				ClientConfig: &apiextensionsv1.WebhookClientConfig{Service: &apiextensionsv1.ServiceReference{
					Namespace: "metallb-system", Name: "metallb-webhook-service", Path: new("/convert"),
				}},
			}}
		}
		if err := c.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		eventually(t, d.Name+" is served", func() (bool, string) {
			got := &apiextensionsv1.CustomResourceDefinition{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(d), got); err != nil {
				return false, err.Error()
			}
			for _, condition := range got.Status.Conditions {
				if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
					return true, ""
				}
			}
			return false, fmt.Sprint(got.Status.Conditions)
		})
	}
}

// create creates the objects of a sample that want names, with their status: namespaces first, and what is asked about edits last, for nobody answers.
func (c *cluster) create(t *testing.T, sample string, wanted func(*unstructured.Unstructured) bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, sample))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := migrate.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	place := func(o *unstructured.Unstructured) int {
		switch o.GetKind() {
		case "Namespace":
			return 0
		case "ValidatingWebhookConfiguration":
			return 2
		}
		return 1
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return place(a) - place(b) })
	for _, o := range objects {
		if !wanted(o) {
			continue
		}
		status, has, _ := unstructured.NestedMap(o.Object, "status")
		eventually(t, "the API server takes "+o.GetKind()+" "+o.GetName(), func() (bool, string) {
			err := c.Create(t.Context(), o)
			return err == nil, fmt.Sprint(err) // a definition may not be served everywhere yet
		})
		if !has {
			continue
		}
		if err := unstructured.SetNestedMap(o.Object, status, "status"); err != nil {
			t.Fatal(err)
		}
		if err := c.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

func all(*unstructured.Unstructured) bool { return true }

// kubectl runs a script of kubectl commands in the folder.
func (c *cluster) script(t *testing.T, text string) {
	t.Helper()
	store, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := assets.NewWorkshop(store, root, t.Logf).Kubernetes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail")
	cmd.Dir = c.dir
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.config, "PATH="+programs+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nof\n%s", err, out, text)
	}
	t.Logf("%s", out)
}

// start starts a program that ends with the test.
func (c *cluster) start(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(c.dir, name), args...)
	cmd.Env = slices.Concat(os.Environ(), []string{"KUBECONFIG=" + c.config}, env)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait()
		if text := log.String(); t.Failed() {
			t.Logf("end of what %s said:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
}

// plugin runs the plugin and returns what it prints and its exit status.
func (c *cluster) plugin(t *testing.T, args ...string) (text string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.dir, "kubectl-metallb"), append([]string{"migrate", "--kubeconfig", c.config}, args...)...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if words.Len() > 0 {
		t.Logf("the plugin says: %s", words.String())
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// services are the addresses of all Services, and those with addresses of which the controller has not said whether they are announced, which it does
// when no change of addresses is under way. That it has decided on an address says nothing on the Service: taking over writes nothing.
func (c *cluster) services(t *testing.T, classes kubeview.Classes) (addresses map[string][]netip.Addr, undecided []string) {
	t.Helper()
	var list corev1.ServiceList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	addresses = map[string][]netip.Addr{}
	for i := range list.Items {
		svc := &list.Items[i]
		key := svc.Namespace + "/" + svc.Name
		addresses[key], _ = kubeview.Held(svc)
		if classes.Handle(svc) && len(addresses[key]) > 0 && meta.FindStatusCondition(svc.Status.Conditions, service.ConditionAnnounced) == nil {
			undecided = append(undecided, key)
		}
	}
	return addresses, undecided
}

// newcomer creates a Service without an address. The controller decides on it after all those that have some.
func (c *cluster) newcomer(t *testing.T, class *string) {
	t.Helper()
	if err := c.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "newcomer"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: class, Ports: []corev1.ServicePort{{Port: 80}}},
	}); err != nil {
		t.Fatal(err)
	}
}

// settled waits until the controller has decided on all Services and written what it decided, and returns their addresses.
func (c *cluster) settled(t *testing.T, classes kubeview.Classes) map[string][]netip.Addr {
	t.Helper()
	var addresses map[string][]netip.Addr
	eventually(t, "the controller has decided on all Services", func() (bool, string) {
		var undecided []string
		addresses, undecided = c.services(t, classes)
		return len(undecided) == 0 && len(addresses["shop/newcomer"]) > 0, fmt.Sprint(addresses, undecided)
	})
	return addresses
}

// Given a cluster with MetalLB from its manifests and an object of each kind that it documents, when the steps that the plugin prints are run as they are,
// and then the operator and the controller as they are told to by what the steps made, then the plugin had said that no address changes, and none has.
func TestTakeOver(t *testing.T) {
	c := newCluster(t)
	c.defineMetalLB(t)
	c.create(t, "manifests.yaml", all)
	text, status := c.plugin(t, "--check")
	if status != 0 || !strings.Contains(text, "Services: 8 of 8 keep their addresses") {
		t.Fatalf("the check ends with %d and says:\n%s", status, text)
	}
	if strings.Contains(text, "could not be read") {
		t.Errorf("not all was read:\n%s", text)
	}
	before, _ := c.services(t, kubeview.Classes{})

	steps, _ := c.plugin(t, "--steps")
	// There are no nodes: no pod ever runs.
	steps = without(steps, "kubectl rollout status ", "kubectl wait --for=condition=Available ")
	until, last, found := strings.Cut(steps, "\n# 9. ")
	if !found {
		t.Fatalf("there is no step 9 in\n%s", steps)
	}
	c.script(t, until)
	c.newcomer(t, nil)

	manager, controller, speakers := &appsv1.Deployment{}, &appsv1.Deployment{}, &appsv1.DaemonSet{}
	c.get(t, manager, "metallb-operator-controller-manager")
	env := []string{"OPERATOR_NAMESPACE=metallb-system"}
	for _, e := range manager.Spec.Template.Spec.Containers[0].Env {
		if e.Value != "" {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	c.start(t, env, "operator", "--webhook-port=0", "--metrics-addr=0", "--port="+strconv.Itoa(port.Free(t)))
	c.get(t, controller, "controller")
	c.get(t, speakers, "speaker")
	ports := []string{"--port=" + strconv.Itoa(port.Free(t)), "--health-probe-port=" + strconv.Itoa(port.Free(t))}
	c.start(t, []string{"METALLB_NAMESPACE=metallb-system"}, "controller", append(controller.Spec.Template.Spec.Containers[0].Args, ports...)...)
	after := c.settled(t, kubeview.Classes{})
	delete(after, "shop/newcomer")
	if !maps.EqualFunc(before, after, slices.Equal) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
	if err := c.Delete(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "newcomer"}}); err != nil {
		t.Fatal(err)
	}
	c.script(t, "# 9. "+last)

	// What MetalLB's programs were told, these are told.
	speaker := speakers.Spec.Template.Spec
	if speaker.NodeSelector["role"] != "edge" || speaker.PriorityClassName != "system-node-critical" || !slices.Contains(speaker.Containers[0].Args, "--log-level=debug") ||
		!slices.Contains(speaker.Containers[0].Args, "--port=7472") ||
		!slices.ContainsFunc(speaker.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "METALLB_ML_BIND_PORT" && e.Value == "7950" }) ||
		!slices.ContainsFunc(speaker.Tolerations, func(t corev1.Toleration) bool { return t.Key == "example.com/edge" }) {
		t.Errorf("the speakers' pods are %+v", speaker)
	}
	if again, status := c.plugin(t, "--check"); status != 0 || strings.Contains(again, string(migrate.Act)) {
		t.Errorf("afterwards the check ends with %d and says:\n%s", status, again)
	}
}

// Given Services whose addresses do not agree with what they ask for, when the controller takes over, then exactly those lose an address of which the
// plugin said so, and each has what was forecast.
func TestForecast(t *testing.T) {
	c := newCluster(t)
	c.defineMetalLB(t)
	for _, name := range []string{"networking", "shop"} {
		if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: named(name)}); err != nil {
			t.Fatal(err)
		}
	}
	c.create(t, "chart.yaml", func(o *unstructured.Unstructured) bool {
		return slices.Contains([]string{"Service", "IPAddressPool", "DaemonSet", "Deployment"}, o.GetKind())
	})
	text, status := c.plugin(t, "--check")
	if status != exitChange {
		t.Errorf("the check ends with %d, wanted %d: it says\n%s", status, exitChange, text)
	}
	c.testRights(t)
	w, err := migrate.Read(t.Context(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	classes := kubeview.Classes{Names: []string{"example.com/edge"}}
	fates := migrate.Fates(w, classes)
	if len(fates) < 6 {
		t.Fatalf("only %d fates", len(fates))
	}
	c.script(t, `kubectl patch crd bgppeers.metallb.io --type=merge -p '{"spec":{"conversion":{"strategy":"None","webhook":null}}}'
kubectl apply --server-side --force-conflicts -k config/crd
kubectl wait --for=condition=Established crd --all`)
	c.start(t, nil, "controller", "--namespace=networking", "--lb-class=example.com/edge",
		"--port="+strconv.Itoa(port.Free(t)), "--health-probe-port="+strconv.Itoa(port.Free(t)))
	c.newcomer(t, &classes.Names[0])
	addresses := c.settled(t, classes)
	for _, f := range fates {
		key := f.Service.Namespace + "/" + f.Service.Name
		right := slices.Equal(addresses[key], f.Gets)
		if len(f.Has) == 0 { // of free addresses one is as good as another
			right = len(addresses[key]) == len(f.Gets)
		}
		if !right {
			t.Errorf("%s had %v and has %v: wanted %v", key, f.Has, addresses[key], f.Gets)
		}
		if says := strings.Contains(text, fmt.Sprintf("%-6s Service %s:", migrate.Change, key)); says != f.Loses() {
			t.Errorf("%s loses an address: %t; the plugin says so: %t", key, f.Loses(), says)
		}
	}
}

// Given a user who may not read all, when the cluster is read, then what is missing is named; without Services and pools nothing is said.
func (c *cluster) testRights(t *testing.T) {
	t.Helper()
	const user = "limited"
	as := rest.CopyConfig(c.admin)
	as.Impersonate.UserName = user
	limited, err := client.New(as, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrate.Read(t.Context(), limited, ""); err == nil || !strings.Contains(err.Error(), "read Services") {
		t.Errorf("without any right: error %v", err)
	}
	if err := errors.Join(
		c.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: named(user), Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"", "metallb.io"}, Resources: []string{"services", "ipaddresspools"}, Verbs: []string{"list"}},
		}}),
		c.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: named(user), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}}),
	); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Services and pools can be read", func() (bool, string) {
		w, err := migrate.Read(t.Context(), limited, "networking")
		if err != nil {
			return false, err.Error() // the API server takes a moment to know of rights
		}
		unread := strings.Join(w.Unread, "\n")
		if len(w.Services) == 0 || len(w.Objects.Pools) == 0 || !strings.Contains(unread, "Secrets could not be read") || !strings.Contains(unread, "DaemonSets") {
			t.Errorf("%d Services, %d pools; not read: %s", len(w.Services), len(w.Objects.Pools), unread)
		}
		return true, ""
	})
}

func (c *cluster) get(t *testing.T, o client.Object, name string) {
	t.Helper()
	eventually(t, name+" is there", func() (bool, string) {
		err := c.Get(t.Context(), client.ObjectKey{Namespace: "metallb-system", Name: name}, o)
		return err == nil, fmt.Sprint(err)
	})
}

// without drops the lines that begin with one of the words.
func without(text string, words ...string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(line, w) }) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func eventually(t *testing.T, what string, check func() (bool, string)) {
	t.Helper()
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ok, found := check()
		if ok {
			return
		}
		last = found
	}
	t.Fatalf("waited for: %s; found %s", what, last)
}

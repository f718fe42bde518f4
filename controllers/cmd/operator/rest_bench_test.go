package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/port"
)

const (
	benchNamespace = "metallb-system"
	benchNodes     = 100
	// restFor is how long the operator is watched at rest.
	restFor = time.Minute
)

// restWorld is a real control plane with config/default, nodes whose kubelets the benchmark plays, and the operator as a process of its own with the rights of
// its ServiceAccount.
type restWorld struct {
	*testing.B
	client.Client
	server *apiserver.Server
	// writes and renewals are what the operator sent that may change something, and of that what renews its lease.
	writes, renewals atomic.Int64
	mu               sync.Mutex
	seen             []string
}

// BenchmarkRest prints what the operator takes while nothing happens: the writes in a minute, those of its lease apart, and its resident memory,
// with an installation on 100 nodes.
func BenchmarkRest(b *testing.B) {
	w := &restWorld{B: b, server: apiserver.Run(b, apiserver.Options{ControllerManager: true})}
	w.install()
	pid := w.start()
	w.settle()
	w.live()
	for b.Loop() {
		writes, renewals := w.writes.Load(), w.renewals.Load()
		select {
		case <-b.Context().Done():
			return
		case <-time.After(restFor):
		}
		b.ReportMetric(float64(w.writes.Load()-writes)/restFor.Minutes(), "writes/min")
		b.ReportMetric(float64(w.renewals.Load()-renewals)/restFor.Minutes(), "lease-renewals/min")
		b.ReportMetric(w.memory(pid, "VmRSS"), "RSS-MB")
		b.ReportMetric(w.memory(pid, "VmHWM"), "peak-RSS-MB")
		w.mu.Lock()
		for _, written := range w.seen[writes:] {
			b.Log(written)
		}
		w.mu.Unlock()
	}
}

func (w *restWorld) install() {
	w.Helper()
	scheme, err := operator.NewScheme()
	if err != nil {
		w.Fatal(err)
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		w.Fatal(err)
	}
	if w.Client, err = client.New(w.server.Config(), client.Options{Scheme: scheme}); err != nil {
		w.Fatal(err)
	}
	build := exec.CommandContext(w.Context(), "go", "tool", "-modfile=tools/go.mod", "kustomize", "build", "config/default")
	build.Dir = "../../.."
	text, err := build.Output()
	if err != nil {
		w.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			w.Fatal(err)
		}
		if object.GetKind() == "Deployment" {
			continue
		}
		if err := w.Create(w.Context(), object); err != nil {
			w.Fatal(err)
		}
	}
}

// start runs the program and returns its process number.
func (w *restWorld) start() int {
	w.Helper()
	dir := w.TempDir()
	program := filepath.Join(dir, "operator")
	if out, err := exec.CommandContext(w.Context(), "go", "build", "-ldflags=-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		w.Fatalf("build the operator: %v\n%s", err, out)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	const config = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
	if err := os.WriteFile(kubeconfig, fmt.Appendf(nil, config, w.counting()), 0o600); err != nil {
		w.Fatal(err)
	}
	run := exec.CommandContext(w.Context(), program, "--enable-leader-election", fmt.Sprint("--port=", port.Free(w)), fmt.Sprint("--webhook-port=", port.Free(w)))
	run.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "OPERATOR_NAMESPACE="+benchNamespace, "CONTROLLER_IMAGE=example.com/lb:v1",
		"SPEAKER_IMAGE=example.com/lb:v1", "FRR_IMAGE=example.com/frr:v1", "KUBERNETES_SERVICE_PORT=443")
	run.Stdout, run.Stderr = w.Output(), w.Output()
	if err := run.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	})
	return run.Process.Pid
}

// counting returns the address of a proxy that acts as the operator's ServiceAccount and counts writes.
func (w *restWorld) counting() string {
	w.Helper()
	account := "system:serviceaccount:" + benchNamespace + ":metallb-operator"
	as, err := w.server.ConfigFor(account, "system:serviceaccounts", "system:serviceaccounts:"+benchNamespace, "system:authenticated")
	if err != nil {
		w.Fatal(err)
	}
	transport, err := rest.TransportFor(as)
	if err != nil {
		w.Fatal(err)
	}
	to, err := url.Parse(as.Host)
	if err != nil {
		w.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		switch {
		case request.Method == http.MethodGet:
		case strings.Contains(request.URL.Path, "/leases"):
			w.renewals.Add(1)
		default:
			w.writes.Add(1)
			w.mu.Lock()
			w.seen = append(w.seen, request.Method+" "+request.URL.Path)
			w.mu.Unlock()
		}
		proxy.ServeHTTP(answer, request)
	}))
	w.Cleanup(server.CloseClientConnections)
	return server.URL
}

// settle creates nodes and a MetalLB object, runs all pods as kubelets do, and waits until the object says that all is well.
func (w *restWorld) settle() {
	w.Helper()
	for i := range benchNodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i), Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		if err := w.Create(w.Context(), node); err != nil {
			w.Fatal(err)
		}
		before := node.DeepCopy()
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		if err := w.Status().Patch(w.Context(), node, client.MergeFrom(before)); err != nil {
			w.Fatal(err)
		}
	}
	w.eventually(func(ctx context.Context) error {
		_, err := w.RESTMapper().RESTMapping(schema.GroupKind{Group: v1beta1.GroupVersion.Group, Kind: "MetalLB"})
		return err
	})
	object := &v1beta1.MetalLB{ObjectMeta: metav1.ObjectMeta{Name: v1beta1.MetalLBName, Namespace: benchNamespace}}
	if err := w.Create(w.Context(), object); err != nil {
		w.Fatal(err)
	}
	w.eventually(func(ctx context.Context) error {
		if err := w.runPods(ctx); err != nil {
			return err
		}
		if err := w.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		available, progressing := meta.FindStatusCondition(object.Status.Conditions, v1beta1.ConditionAvailable), meta.FindStatusCondition(object.Status.Conditions, v1beta1.ConditionProgressing)
		wanted := fmt.Sprintf("speaker: %d of %d pods ready", benchNodes, benchNodes)
		if available == nil || available.Status != metav1.ConditionTrue || !strings.Contains(available.Message, wanted) || progressing == nil || progressing.Status != metav1.ConditionFalse {
			return fmt.Errorf("available %+v, progressing %+v", available, progressing)
		}
		return nil
	})
}

// live renews the Leases of the nodes as kubelets do, until the benchmark ends: else they would count as lost.
func (w *restWorld) live() {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var renewing sync.WaitGroup
	w.Cleanup(func() {
		cancel()
		renewing.Wait()
	})
	leases := make([]*coordinationv1.Lease, benchNodes)
	for i := range leases {
		name := fmt.Sprint("n", i)
		leases[i] = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &name, LeaseDurationSeconds: new(int32(40)), RenewTime: new(metav1.NowMicro()),
		}}
		if err := w.Create(ctx, leases[i]); err != nil {
			w.Fatal(err)
		}
	}
	renewing.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, lease := range leases {
				lease.Spec.RenewTime = new(metav1.NowMicro())
				if err := w.Update(ctx, lease); err != nil && ctx.Err() == nil {
					w.Errorf("renew the Lease of a node: %v", err)
				}
			}
		}
	})
}

// runPods puts every pod where it belongs, ready.
func (w *restWorld) runPods(ctx context.Context) error {
	pods := &corev1.PodList{}
	if err := w.List(ctx, pods, client.InNamespace(benchNamespace)); err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase == corev1.PodRunning {
			continue
		}
		if pod.Spec.NodeName == "" {
			node := "n0"
			if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
				node = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
			}
			binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
			if err := w.SubResource("binding").Create(ctx, pod, binding); err != nil {
				return err
			}
		}
		if err := w.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		before := pod.DeepCopy()
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()},
		}
		if err := w.Status().Patch(ctx, pod, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return nil
}

func (w *restWorld) eventually(check func(context.Context) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			w.Fatalf("not in time: %v; the operator wrote %v", err, w.seen)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// memory is a line of the process's status, in MB.
func (w *restWorld) memory(pid int, line string) float64 {
	w.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		w.Fatal(err)
	}
	for found := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(found, line+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				w.Fatal(err)
			}
			return kilobytes * 1024 / 1e6
		}
	}
	w.Fatalf("no %s in %s", line, text)
	return 0
}

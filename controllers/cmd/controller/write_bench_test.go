package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// BenchmarkStatusWrite compares the ways to write a Service's address, pool and condition by what the API server and etcd work for each. The
// ways take turns; each round has new Services. The least of the rounds is the figure to compare, for what else the machine does adds to them.
func BenchmarkStatusWrite(b *testing.B) {
	const n = 500
	w := fresh(b)
	ways := w.statusWrites(b)
	costs := make([][]float64, len(ways))
	for round := 0; b.Loop(); round++ {
		for i := range ways {
			// Each round begins with another, so that none is always the first.
			way := (i + round) % len(ways)
			services := make([]*corev1.Service, n)
			inParallel(b, n, func(k int) error {
				services[k] = w.service(fmt.Sprint("s", k))
				return w.Create(b.Context(), services[k])
			})
			before := serverCPU(b)
			inParallel(b, n, func(k int) error { return ways[way].write(b.Context(), services[k]) })
			costs[way] = append(costs[way], float64((serverCPU(b)-before).Microseconds())/1000/n)
			inParallel(b, n, func(k int) error { return w.Delete(b.Context(), services[k]) })
		}
	}
	for i, way := range ways {
		b.Logf("%-40s API server and etcd: CPU-ms for each, least of %d rounds: %.2f, %.2f of the first's", way.name, len(costs[i]), slices.Min(costs[i]),
			slices.Min(costs[i])/slices.Min(costs[0]))
	}
}

// statusWrite is a way to write a Service's status.
type statusWrite struct {
	name  string
	write func(ctx context.Context, svc *corev1.Service) error
}

// statusWrites returns the ways there are; the first is the controller's.
func (w *world) statusWrites(b *testing.B) []statusWrite {
	b.Helper()
	config := cluster.server.Config()
	config.QPS = -1
	clients, err := metadata.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	config.ContentType = runtime.ContentTypeProtobuf
	protobuf, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	services := clients.Resource(corev1.SchemeGroupVersion.WithResource("services")).Namespace(w.name)
	status := corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "10.0.0.1"}}},
		Conditions: []metav1.Condition{{Type: "metallb.io/Allocated", Status: metav1.ConditionTrue, Reason: "Allocated",
			Message: "the Service has the addresses it asks for", LastTransitionTime: metav1.Now()}}}
	annotations := map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}
	patch := func(kind types.PatchType, body func(*corev1.Service) any, o metav1.PatchOptions) func(context.Context, *corev1.Service) error {
		return func(ctx context.Context, svc *corev1.Service) error {
			text, err := json.Marshal(body(svc))
			if err != nil {
				return err
			}
			_, err = services.Patch(ctx, svc.Name, kind, text, o, "status")
			return err
		}
	}
	merge := func(svc *corev1.Service) any {
		return map[string]any{"metadata": map[string]any{"uid": svc.UID, "annotations": annotations}, "status": status}
	}
	operations := func(svc *corev1.Service) any {
		return []map[string]any{{"op": "test", "path": "/metadata/uid", "value": svc.UID}, {"op": "add", "path": "/metadata/annotations", "value": annotations},
			{"op": "add", "path": "/status/loadBalancer", "value": status.LoadBalancer}, {"op": "add", "path": "/status/conditions", "value": status.Conditions}}
	}
	apply := func(svc *corev1.Service) any {
		return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": svc.Name, "uid": svc.UID, "annotations": annotations}, "status": status}
	}
	return []statusWrite{
		{"strategic merge patch", patch(types.StrategicMergePatchType, merge, metav1.PatchOptions{})},
		{"merge patch (RFC 7396)", patch(types.MergePatchType, merge, metav1.PatchOptions{})},
		{"JSON patch (RFC 6902)", patch(types.JSONPatchType, operations, metav1.PatchOptions{})},
		{"server-side apply", patch(types.ApplyPatchType, apply, metav1.PatchOptions{FieldManager: "benchmark", Force: new(true)})},
		{"PUT of the whole Service, protobuf", func(ctx context.Context, svc *corev1.Service) error {
			svc.Annotations, svc.Status = annotations, status
			_, err := protobuf.CoreV1().Services(w.name).UpdateStatus(ctx, svc, metav1.UpdateOptions{})
			return err
		}},
	}
}

// inParallel calls do with 0 to n-1, a few at a time.
func inParallel(b *testing.B, n int, do func(int) error) {
	b.Helper()
	work := make(chan int, n)
	for i := range n {
		work <- i
	}
	close(work)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for i := range work {
				if err := do(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
}

// serverCPU returns the processor time that the API server and the etcd of this test have used.
func serverCPU(b *testing.B) time.Duration {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	ticks, found := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended
		}
		name, rest, _ := bytes.Cut(text, []byte(") "))
		fields := strings.Fields(string(rest))
		if fields[1] != strconv.Itoa(os.Getpid()) || !bytes.HasSuffix(name, []byte("(kube-apiserver")) && !bytes.HasSuffix(name, []byte("(etcd")) {
			continue
		}
		found++
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			ticks += n
		}
	}
	if found != 2 {
		b.Fatalf("%d processes found, wanted API server and etcd", found)
	}
	return time.Duration(ticks) * 10 * time.Millisecond // the kernel reports in units of 1/100 s
}

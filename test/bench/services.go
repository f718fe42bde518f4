package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab"
)

const (
	// namespace is where the Services are.
	namespace = "bench"
	// creators is how many requests are under way at a time when many objects are made at once.
	creators = 32
	// foreignClass is a load balancer class that nobody serves.
	foreignClass = "example.com/nobody"
)

// Kind is what is particular about a Service to be made; the zero Kind is that of most.
type Kind struct {
	// Address is the one to ask for, "" for any.
	Address string
	// Local sets the external traffic policy Local.
	Local bool
	// IPv6 makes it a Service of that family alone; the zero value, IPv4.
	IPv6 bool
	// Foreign leaves the Service to a load balancer that does not exist.
	Foreign bool
}

// Service makes a Service without selector, whose endpoints are known before it exists, and without node ports, of which a cluster has
// fewer than 5,000. kube-proxy leaves it alone, so that what is measured is not how busy kube-proxy keeps the machine.
func Service(name string, k Kind) *corev1.Service {
	no := false
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: notForKubeProxy()},
		Spec: corev1.ServiceSpec{
			Type:                          corev1.ServiceTypeLoadBalancer,
			AllocateLoadBalancerNodePorts: &no,
			Ports:                         []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	if k.Address != "" {
		svc.Annotations = map[string]string{v1beta1.AnnotationLoadBalancerIPs: k.Address}
	}
	if k.Local {
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	if k.IPv6 {
		svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	}
	if k.Foreign {
		class := foreignClass
		svc.Spec.LoadBalancerClass = &class
	}
	return svc
}

func notForKubeProxy() map[string]string {
	return map[string]string{"service.kubernetes.io/service-proxy-name": "nobody"}
}

// endpoints makes the EndpointSlice of a Service: one endpoint that is ready, on the node.
func endpoints(service string) *discoveryv1.EndpointSlice {
	yes, port, node := true, int32(8080), lab.NodeName(1)
	labels := notForKubeProxy()
	labels[discoveryv1.LabelServiceName] = service
	labels[discoveryv1.LabelManagedBy] = "bench"
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Namespace: namespace, Labels: labels},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.1.200"}, NodeName: &node,
			Conditions: discoveryv1.EndpointConditions{Ready: &yes}}},
		Ports: []discoveryv1.EndpointPort{{Port: &port}},
	}
}

// numbered is the name of Service i of many.
func numbered(i int) string { return fmt.Sprintf("many-%04d", i) }

// each calls do for the numbers from begin to end, with several calls under way.
func each(ctx context.Context, begin, end int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for i := begin; i < end && ctx.Err() == nil; i++ {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// Workload makes and deletes the objects that the product works on.
type Workload struct {
	client kubernetes.Interface
	// slices is how many of the numbered Services have their endpoints.
	slices int
}

// NewWorkload makes the namespace of the Services, which must not exist yet, and returns a Workload without any.
func NewWorkload(ctx context.Context, c kubernetes.Interface) (*Workload, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := c.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	return &Workload{client: c}, nil
}

// Gone waits until no Service is left.
func (w *Workload) Gone(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := w.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return fmt.Errorf("list Services: %w", err)
		}
		if len(list.Items) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of %d Services: %w", len(list.Items), context.Cause(ctx))
		}
	}
}

// Prepare makes the endpoints of the first n numbered Services. They stay, whether their Services exist or not.
func (w *Workload) Prepare(ctx context.Context, n int) error {
	err := each(ctx, w.slices, n, func(ctx context.Context, i int) error { return w.PrepareOne(ctx, numbered(i)) })
	w.slices = max(n, w.slices)
	return err
}

// PrepareOne makes the endpoints of a Service.
func (w *Workload) PrepareOne(ctx context.Context, service string) error {
	if _, err := w.client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, endpoints(service), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create EndpointSlice %s: %w", service, err)
	}
	return nil
}

// Create makes a Service.
func (w *Workload) Create(ctx context.Context, service string, k Kind) error {
	if _, err := w.client.CoreV1().Services(namespace).Create(ctx, Service(service, k), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Service %s: %w", service, err)
	}
	return nil
}

// Delete deletes a Service.
func (w *Workload) Delete(ctx context.Context, service string) error {
	if err := w.client.CoreV1().Services(namespace).Delete(ctx, service, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete Service %s: %w", service, err)
	}
	return nil
}

// CreateMany makes the first n numbered Services at once.
func (w *Workload) CreateMany(ctx context.Context, n int, k Kind) error {
	return w.CreateEach(ctx, n, func(int) Kind { return k })
}

// CreateEach makes the first n numbered Services at once, each of the kind that is given for its number.
func (w *Workload) CreateEach(ctx context.Context, n int, kind func(i int) Kind) error {
	return each(ctx, 0, n, func(ctx context.Context, i int) error { return w.Create(ctx, numbered(i), kind(i)) })
}

// DeleteMany deletes the first n numbered Services at once.
func (w *Workload) DeleteMany(ctx context.Context, n int) error {
	return each(ctx, 0, n, func(ctx context.Context, i int) error { return w.Delete(ctx, numbered(i)) })
}

// Address writes an address into a Service's status, as its load balancer would.
func (w *Workload) Address(ctx context.Context, service string, address string) error {
	patch := fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":%q,"ipMode":"VIP"}]}}}`, address)
	if _, err := w.client.CoreV1().Services(namespace).Patch(ctx, service, types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("write status of Service %s: %w", service, err)
	}
	return nil
}

// Endpoint takes the one endpoint of a Service away, or brings it back.
func (w *Workload) Endpoint(ctx context.Context, service string, present bool) error {
	patch := `{"endpoints":[]}`
	if present {
		patch = fmt.Sprintf(`{"endpoints":[{"addresses":["10.244.1.200"],"nodeName":%q,"conditions":{"ready":true}}]}`, lab.NodeName(1))
	}
	if _, err := w.client.DiscoveryV1().EndpointSlices(namespace).Patch(ctx, service, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("change endpoints of Service %s: %w", service, err)
	}
	return nil
}

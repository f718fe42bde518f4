package admission_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// BenchmarkEdit measures how long an edit takes as its author sees it, with 200 configuration objects and 5,000 Services with addresses on a real
// API server: one that the webhooks do not hear of, one of an advertisement, one that makes a pool larger, and one that makes it smaller, for
// which all Services are read.
func BenchmarkEdit(b *testing.B) {
	const services = 5000
	c := newCluster(b, apiserver.Options{})
	fill(b, c, services)
	for _, served := range []bool{false, true} {
		name := "without webhooks"
		if served {
			c.serve(b)
			name = "with webhooks"
		}
		b.Run(name, func(b *testing.B) {
			last := netip.MustParseAddr("10.1.0.0")
			grow := func(int) error {
				last = last.Next()
				return c.Patch(b.Context(), pool("big"), patchf(`{"spec":{"addresses":["10.0.0.0-%s"]}}`, last))
			}
			shrink := func(int) error {
				last = last.Prev()
				return c.Patch(b.Context(), pool("big"), patchf(`{"spec":{"addresses":["10.0.0.0-%s"]}}`, last))
			}
			for _, one := range []struct {
				name string
				edit func(i int) error
			}{
				{"annotation", func(i int) error {
					return c.Patch(b.Context(), pool("big"), patchf(`{"metadata":{"annotations":{"example.com/i":"%d-%d"}}}`, i, time.Now().UnixNano()))
				}},
				{"advertisement", func(i int) error {
					return c.Patch(b.Context(), bgp("ad-000"), patchf(`{"spec":{"communities":["65000:%d"]}}`, 200+i%1000))
				}},
				{"pool larger", grow},
				{"pool smaller", shrink},
			} {
				b.Run(one.name, func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						if err := one.edit(i); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

func patchf(format string, args ...any) client.Patch {
	return client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, format, args...))
}

// fill makes 100 pools, 50 peers, 50 advertisements, and Services with addresses of one pool.
func fill(b *testing.B, c *cluster, services int) {
	b.Helper()
	c.create(b, pool("big", "10.0.0.0/16"))
	for i := range 99 {
		c.create(b, pool(fmt.Sprintf("pool-%03d", i), fmt.Sprintf("172.16.%d.0/24", i)))
	}
	for i := range 50 {
		name := fmt.Sprintf("peer-%03d", i)
		c.create(b, peer(name, func(s *v1beta2.BGPPeerSpec) { s.PeerAddress = fmt.Sprintf("192.168.0.%d", i+1) }))
		c.create(b, bgp(fmt.Sprintf("ad-%03d", i), func(s *v1beta1.BGPAdvertisementSpec) {
			s.Peers, s.Communities = []string{name}, []string{fmt.Sprintf("65000:%d", i)}
		}))
	}
	first := netip.MustParseAddr("10.0.0.1")
	group, _ := errgroup.WithContext(b.Context())
	group.SetLimit(32)
	for i := range services {
		address := first.String()
		first = first.Next()
		group.Go(func() error {
			svc := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s%05d", i), Namespace: "default", Annotations: map[string]string{v1beta1.AnnotationAllocatedFromPool: "big"}},
				Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}, AllocateLoadBalancerNodePorts: new(false)},
			}
			if err := c.Create(b.Context(), svc); err != nil {
				return err
			}
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
			return c.Status().Update(b.Context(), svc)
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

package neighbors

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"golang.org/x/sync/errgroup"
)

// readAtOnce is how many Leases are read at the same time.
const readAtOnce = 8

// witness is a members.Witness: for those of the nodes whose speaker is ready, when their kubelets last renewed their Leases, which they do
// every 10 s. It reads the API itself, because a cache would tell what was true when the API was last heard.
func (n *Neighbors) witness(ctx context.Context, nodes []string) (map[string]string, error) {
	var mu sync.Mutex
	marks := map[string]string{}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(readAtOnce)
	for _, name := range n.pods.ready(nodes) {
		reads.Go(func() error {
			var lease coordinationv1.Lease
			err := n.Leases.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: name}, &lease)
			switch {
			case apierrors.IsNotFound(err):
				return nil
			case err != nil:
				return fmt.Errorf("read the Lease of node %s: %w", name, err)
			case lease.Spec.RenewTime == nil:
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			marks[name] = lease.Spec.RenewTime.UTC().Format(time.RFC3339Nano)
			return nil
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	return marks, nil
}

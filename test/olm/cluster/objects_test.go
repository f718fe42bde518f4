package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// come lists kinds whose objects come and go by themselves, whoever uses the cluster.
var come = []string{"events", "endpointslices", "endpoints", "leases", "pods", "replicasets", "controllerrevisions", "componentstatuses"}

// everything names all objects of the cluster but those that come and go by themselves and OLM's own in its namespaces: "RESOURCE.GROUP NAMESPACE/NAME".
func everything(ctx context.Context) map[string]bool {
	config, err := manager.Config()
	Expect(err).NotTo(HaveOccurred())
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	client, err := metadata.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	groups, err := discoverer.ServerPreferredResources()
	Expect(err).NotTo(HaveOccurred())
	all := map[string]bool{}
	for _, group := range groups {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		Expect(err).NotTo(HaveOccurred())
		for _, r := range group.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(come, r.Name) {
				continue
			}
			list, err := client.Resource(version.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue // its definition was deleted meanwhile
			}
			Expect(err).NotTo(HaveOccurred(), r.Name)
			for _, o := range list.Items {
				// Of the ClusterRoles that OLM keeps for each OperatorGroup it makes some anew while the group goes.
				if o.Namespace != CatalogNamespace && o.Namespace != managerNamespace && !strings.HasPrefix(o.Name, "olm.og.") {
					all[fmt.Sprintf("%s %s", version.WithResource(r.Name).GroupResource(), strings.TrimPrefix(o.Namespace+"/"+o.Name, "/"))] = true
				}
			}
		}
	}
	return all
}

// more are the objects that were not there before, in order.
func more(before, now map[string]bool) []string {
	var names []string
	for name := range now {
		if !before[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

package manifests

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// The verbs, by what they are for.
var (
	read   = []string{"get", "list", "watch"}
	modify = []string{"patch", "update"}
)

// configured are the resources of metallb.io that people write and both programs read.
func configured() []string {
	return []string{"bfdprofiles", "bgpadvertisements", "bgppeers", "communities", "frrsnippets", "ipaddresspools", "l2advertisements"}
}

// reserving are those that only the controller reads: they say who may have an address, which is nothing to who announces it.
func reserving() []string { return []string{"addressquotas", "ipreservations"} }

// probes are the questions of the controller to the speakers.
func probes() []string { return []string{"addressprobes"} }

// access returns the roles of controller and speaker and their bindings. What can be limited to the namespace is.
func access(env Environment) []client.Object {
	var objects []client.Object
	for _, of := range []struct {
		component, clusterRole string
		cluster, namespace     []rbacv1.PolicyRule
	}{
		{Controller, ControllerClusterRole, controllerClusterRules(), controllerRules()},
		{Speaker, SpeakerClusterRole, speakerClusterRules(), speakerRules()},
	} {
		subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: of.component, Namespace: env.Namespace}}
		objects = append(objects,
			&rbacv1.ClusterRole{
				TypeMeta:   kind(rbacv1.SchemeGroupVersion, "ClusterRole"),
				ObjectMeta: outside(of.clusterRole, "", of.component, env),
				Rules:      of.cluster,
			},
			&rbacv1.ClusterRoleBinding{
				TypeMeta:   kind(rbacv1.SchemeGroupVersion, "ClusterRoleBinding"),
				ObjectMeta: outside(of.clusterRole, "", of.component, env),
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: of.clusterRole},
				Subjects:   subjects,
			},
			&rbacv1.Role{
				TypeMeta:   kind(rbacv1.SchemeGroupVersion, "Role"),
				ObjectMeta: namespaced(of.component, of.component, env),
				Rules:      of.namespace,
			},
			&rbacv1.RoleBinding{
				TypeMeta:   kind(rbacv1.SchemeGroupVersion, "RoleBinding"),
				ObjectMeta: namespaced(of.component, of.component, env),
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: of.component},
				Subjects:   subjects,
			})
	}
	return append(objects, leaseAccess(env)...)
}

// leaseAccess lets speakers ask for the Leases of nodes whose speakers they have lost sight of: a renewed one shows that the node lives and only
// the way to it is cut (see docs/decisions/l2-fencing.md). The names are not known beforehand, so the right is limited by the namespace.
func leaseAccess(env Environment) []client.Object {
	return []client.Object{
		&rbacv1.Role{
			TypeMeta:   kind(rbacv1.SchemeGroupVersion, "Role"),
			ObjectMeta: outside(SpeakerClusterRole, NodeLeases, Speaker, env),
			Rules:      []rbacv1.PolicyRule{rule("coordination.k8s.io", []string{"leases"}, []string{"get"})},
		},
		&rbacv1.RoleBinding{
			TypeMeta:   kind(rbacv1.SchemeGroupVersion, "RoleBinding"),
			ObjectMeta: outside(SpeakerClusterRole, NodeLeases, Speaker, env),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: SpeakerClusterRole},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: Speaker, Namespace: env.Namespace}},
		},
	}
}

func rule(group string, resources, verbs []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

// controllerClusterRules: Services live everywhere, pools select namespaces by label, and whether the node selectors of the
// configuration match anything is reported, as is why a Service is not announced, which may be for want of endpoints.
func controllerClusterRules() []rbacv1.PolicyRule {
	return append([]rbacv1.PolicyRule{
		rule("", []string{"namespaces", "nodes"}, read),
		rule("", []string{"services"}, slices.Concat(read, modify)),
		rule("", []string{"services/status"}, modify),
		rule("discovery.k8s.io", []string{"endpointslices"}, read),
	}, eventsAndMetrics()...)
}

func controllerRules() []rbacv1.PolicyRule {
	all := slices.Concat(configured(), reserving())
	return append([]rbacv1.PolicyRule{
		rule(v1beta1.GroupVersion.Group, all, read),
		rule(v1beta1.GroupVersion.Group, statusOf(all), modify),
		rule(v1beta1.GroupVersion.Group, probes(), slices.Concat([]string{"create", "delete"}, read)),
		// Whether the passwords that BGPPeers name exist is reported.
		rule("", []string{"secrets"}, read),
		// Leader election.
		rule("coordination.k8s.io", []string{"leases"}, slices.Concat([]string{"create"}, read, modify)),
		// What speakers say that they announce, and of their sessions.
		rule(v1beta1.GroupVersion.Group, []string{"bgpsessionstates", "servicebgpstatuses", "servicel2statuses"}, read),
	}, reports("configurationstates")...)
}

// speakerClusterRules: a speaker announces Services of every namespace by their endpoints and by its node.
func speakerClusterRules() []rbacv1.PolicyRule {
	return append([]rbacv1.PolicyRule{
		rule("", []string{"namespaces", "nodes", "services"}, read),
		rule("discovery.k8s.io", []string{"endpointslices"}, read),
	}, eventsAndMetrics()...)
}

func speakerRules() []rbacv1.PolicyRule {
	return append([]rbacv1.PolicyRule{
		rule(v1beta1.GroupVersion.Group, configured(), read),
		rule(v1beta1.GroupVersion.Group, statusOf(configured()), modify),
		rule(v1beta1.GroupVersion.Group, probes(), read),
		rule(v1beta1.GroupVersion.Group, statusOf(probes()), modify),
		// Passwords of BGP sessions and raw configuration.
		rule("", []string{"configmaps", "secrets"}, read),
	}, reports("bgpsessionstates", "configurationstates", "servicebgpstatuses", "servicel2statuses")...)
}

// reports are the rights to write objects that only programs write; their owner is the pod that does, which it must read.
func reports(resources ...string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		rule(v1beta1.GroupVersion.Group, resources, slices.Concat([]string{"create", "delete"}, read, modify)),
		rule(v1beta1.GroupVersion.Group, statusOf(resources), modify),
		rule("", []string{"pods"}, read),
	}
}

// eventsAndMetrics: events are written beside the object they are about, in any namespace; and who asks for metrics is
// checked with the API server, which has its own idea of who that is and what he may.
func eventsAndMetrics() []rbacv1.PolicyRule {
	write, ask := []string{"create", "patch"}, []string{"create"}
	return []rbacv1.PolicyRule{
		rule("", []string{"events"}, write),
		rule("events.k8s.io", []string{"events"}, write),
		rule("authentication.k8s.io", []string{"tokenreviews"}, ask),
		rule("authorization.k8s.io", []string{"subjectaccessreviews"}, ask),
	}
}

// statusOf are the status subresources of resources.
func statusOf(resources []string) []string {
	out := make([]string, len(resources))
	for i, r := range resources {
		out[i] = r + "/status"
	}
	return out
}

// Package manifests says which Kubernetes objects a MetalLB object stands for: Desired turns its spec and the operator's
// environment into typed objects, Validate says what of a spec cannot be used. It reads and writes nothing.
package manifests

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Names of the objects, as in MetalLB's own manifests, so that its users' commands work unchanged.
const (
	// Controller is the name of the controller's Deployment, its container, ServiceAccount, Role and RoleBinding.
	Controller = "controller"
	// Speaker is the name of the speakers' DaemonSet, their first container, ServiceAccount, Role and RoleBinding.
	Speaker = "speaker"
	// FRR is the container of the speaker's pod that runs zebra, bgpd, bfdd and staticd.
	FRR = "frr"
	// Reloader is the container of the speaker's pod that applies configurations to FRR.
	Reloader = "reloader"
	// Updater is the container of the speaker's pod that brings the reloader's program when its image is changed in the running pod.
	Updater = "update-reloader"
	// MemberlistSecret is the Secret with the key that speakers encrypt their gossip with.
	MemberlistSecret = "memberlist"
	// MemberlistKey is the key inside MemberlistSecret.
	MemberlistKey = "secretkey"
	// ControllerClusterRole and SpeakerClusterRole name ClusterRole and ClusterRoleBinding. They do not depend on the
	// namespace: there is one installation per cluster, and the operator's own role names them.
	ControllerClusterRole = "metallb-system:controller"
	SpeakerClusterRole    = "metallb-system:speaker"
)

// NodeLeases is the namespace of the Leases by which kubelets show that their nodes live. Speakers may look at them by a Role there, which has
// the name of their ClusterRole.
const NodeLeases = corev1.NamespaceNodeLease

// Labels of everything that Desired returns.
const (
	// LabelApp is "metallb" on all objects and pods.
	LabelApp = "app"
	// LabelComponent is Controller or Speaker.
	LabelComponent = "component"
	// LabelManagedBy is ManagedBy; the operator finds by it what it once made.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// LabelOwner is, on objects outside of its namespace, the namespace of the MetalLB object: those cannot have it as owner.
	LabelOwner = "metallb.io/installation"

	// App is the value of LabelApp.
	App = "metallb"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "metallb-operator"
)

// Environment is what Desired needs to know besides the spec. No field may be empty but those that say so.
type Environment struct {
	// Namespace is where the MetalLB object and all its pods live.
	Namespace string
	// ControllerImage and SpeakerImage hold this project's programs at /controller, /speaker and /reloader.
	ControllerImage string
	SpeakerImage    string
	// FRRImage holds FRR 8.4 or later, /sbin/tini and /usr/lib/frr/docker-start, as the official image does.
	FRRImage string
	// MetricsPort is the port of controller and speaker for metrics.
	MetricsPort int32
	// OperatorMetricsPort is the port of the operator for metrics, 0 where it serves none.
	OperatorMetricsPort int32
	// OperatorCertificate says that the operator has been given a certificate for its metrics.
	OperatorCertificate bool
	// HealthPort is the port for /healthz and /readyz; the speaker's is open on 127.0.0.1 of its node only.
	HealthPort int32
	// MemberPort is the port, TCP and UDP, on which speakers tell each other who is alive; the same on all nodes.
	MemberPort int32
	// MemberlistSecret is the content of the key MemberlistKey: random, made once and kept.
	MemberlistSecret []byte
	// FRRIdle says that nothing in the cluster asks for BGP, so that FRR may be left out of the speakers' pods where the spec does not want it.
	FRRIdle bool
	// APIServerPorts are the TCP ports by which pods reach the API server: that of its Service and those behind it, sorted. Where it is empty
	// nobody is kept from connecting to anything.
	APIServerPorts []int32
	// OperatorPorts are the TCP ports that the operator's own pod serves on, sorted. Where it is empty there is no policy for that pod.
	OperatorPorts []int32
	// OpenShift says that the cluster has OpenShift's SecurityContextConstraints.
	OpenShift bool
	// NoNetworkPolicies leaves NetworkPolicies to the user.
	NoNetworkPolicies bool
}

// with returns the environment with the ports that the spec has in place of the usual ones.
func (e Environment) with(ports *v1beta1.Ports) Environment {
	if ports == nil {
		return e
	}
	for _, p := range []struct {
		wanted *int32
		to     *int32
	}{{ports.Metrics, &e.MetricsPort}, {ports.Health, &e.HealthPort}, {ports.Memberlist, &e.MemberPort}} {
		if p.wanted != nil {
			*p.to = *p.wanted
		}
	}
	return e
}

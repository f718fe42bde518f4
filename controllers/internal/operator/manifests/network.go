package manifests

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// OperatorPolicy is the name of the NetworkPolicy for the operator's own pod.
const OperatorPolicy = "metallb-operator"

// operatorLabels select the operator's pod, as config/manager has it.
func operatorLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "metallb-operator", "control-plane": "controller-manager"}
}

// networkPolicies let others reach the ports of the controller and of the operator, no more, and let both reach the API server alone. There is none
// for the speakers: their pods have the network of the node, to which policies do not apply.
func networkPolicies(env Environment) []client.Object {
	if env.NoNetworkPolicies {
		return nil
	}
	policies := []client.Object{networkPolicy(Controller, Controller, podLabels(Controller), []int32{env.MetricsPort, env.HealthPort}, env)}
	if len(env.OperatorPorts) > 0 {
		policies = append(policies, networkPolicy(OperatorPolicy, Controller, operatorLabels(), env.OperatorPorts, env))
	}
	return policies
}

// networkPolicy is open for everybody on the ports in: who asks for metrics is judged by whom it is, the API server and kubelets come from addresses
// that cannot be known. Out it lets go to the ports of the API server at any address, since some network plugins do not count nodes among addresses.
func networkPolicy(name, component string, pods map[string]string, in []int32, env Environment) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{
		TypeMeta:   kind(networkingv1.SchemeGroupVersion, "NetworkPolicy"),
		ObjectMeta: namespaced(name, component, env),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: pods},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{Ports: tcpPorts(in)}},
		},
	}
	if len(env.APIServerPorts) > 0 {
		policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: tcpPorts(env.APIServerPorts)}}
	}
	return policy
}

func tcpPorts(ports []int32) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, p := range ports {
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(p))})
	}
	return out
}

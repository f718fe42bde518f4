package manifests_test

import (
	"maps"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

func podSpec(o client.Object) (corev1.PodSpec, bool) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template.Spec, true
	case *appsv1.DaemonSet:
		return o.Spec.Template.Spec, true
	}
	return corev1.PodSpec{}, false
}

// Given what the spec and the cluster say of BGP, when the speakers' pods are built, then they have FRR where one of them asks for it, and end in order
// for as long as that takes.
func TestFRR(t *testing.T) {
	for name, row := range map[string]struct {
		idle  bool
		spec  v1beta1.MetalLBSpec
		with  bool
		grace int64
	}{
		"needed":                 {with: true, grace: 15},
		"needed, and asked for":  {spec: v1beta1.MetalLBSpec{FRR: v1beta1.FRRAlways}, with: true, grace: 15},
		"idle":                   {idle: true, grace: 10},
		"idle, when needed":      {idle: true, spec: v1beta1.MetalLBSpec{FRR: v1beta1.FRRWhenNeeded}, grace: 10},
		"idle, but asked for":    {idle: true, spec: v1beta1.MetalLBSpec{FRR: v1beta1.FRRAlways}, with: true, grace: 15},
		"idle, but it listens":   {idle: true, spec: v1beta1.MetalLBSpec{BGPListenPort: new(int32(179))}, with: true, grace: 15},
		"idle, with a long wait": {idle: true, spec: v1beta1.MetalLBSpec{BGPShutdown: &v1beta1.BGPShutdown{WaitSeconds: new(int32(600))}}, grace: 10},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment()
			env.FRRIdle = row.idle
			pod, speaker := speakerIn(t, row.spec, env)
			if alone := slices.Contains(speaker.Args, "--without-frr"); alone == row.with {
				t.Errorf("the speaker is told that it is alone: %t", alone)
			}
			if len(pod.Containers) == 1 == row.with || len(pod.InitContainers) == 0 == row.with || *pod.TerminationGracePeriodSeconds != row.grace {
				t.Errorf("%d containers, %d before them, %d s to end: wanted FRR: %t, %d s", len(pod.Containers), len(pod.InitContainers),
					*pod.TerminationGracePeriodSeconds, row.with, row.grace)
			}
			for _, v := range pod.Volumes {
				if used := slices.ContainsFunc(slices.Concat(pod.InitContainers, pod.Containers), func(c corev1.Container) bool {
					return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name })
				}); !used {
					t.Errorf("nobody uses volume %s", v.Name)
				}
			}
		})
	}
}

// Given several controllers, when they are built, then they prefer different nodes unless told otherwise, and a budget lets one at a time be evicted;
// a single one may always be.
func TestSeveralControllers(t *testing.T) {
	own := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
	for name, row := range map[string]struct {
		spec          v1beta1.MetalLBSpec
		replicas      int32
		budget, apart bool
	}{
		"one":                   {replicas: 1},
		"one, said":             {spec: v1beta1.MetalLBSpec{ControllerReplicas: new(int32(1))}, replicas: 1},
		"two":                   {spec: v1beta1.MetalLBSpec{ControllerReplicas: new(int32(2))}, replicas: 2, budget: true, apart: true},
		"two, placed as wanted": {spec: v1beta1.MetalLBSpec{ControllerReplicas: new(int32(2)), ControllerConfig: &v1beta1.PodConfig{Affinity: own}}, replicas: 2, budget: true},
	} {
		t.Run(name, func(t *testing.T) {
			objects := manifests.Desired(row.spec, environment())
			d := find[*appsv1.Deployment](objects)
			budget, limited := seek[*policyv1.PodDisruptionBudget](objects)
			affinity := d.Spec.Template.Spec.Affinity
			if apart := affinity != nil && affinity.PodAntiAffinity != nil; *d.Spec.Replicas != row.replicas || apart != row.apart || limited != row.budget {
				t.Fatalf("%d controllers, apart: %t, budget: %t", *d.Spec.Replicas, apart, limited)
			}
			if limited && (budget.Spec.MaxUnavailable.IntValue() != 1 || !maps.Equal(budget.Spec.Selector.MatchLabels, d.Spec.Selector.MatchLabels)) {
				t.Errorf("budget %+v", budget.Spec)
			}
		})
	}
}

// Given OpenShift, when the objects are built, then the constraints allow what the speakers' pods are made with and the controller has no user that
// OpenShift would refuse; elsewhere there are none.
func TestOpenShift(t *testing.T) {
	if found, ok := seek[*unstructured.Unstructured](manifests.Desired(v1beta1.MetalLBSpec{}, environment())); ok {
		t.Errorf("elsewhere there is %s", found.GetName())
	}
	env := environment()
	env.OpenShift = true
	objects := manifests.Desired(v1beta1.MetalLBSpec{}, env)
	allowed, _, err := unstructured.NestedStringSlice(find[*unstructured.Unstructured](objects).Object, "allowedCapabilities")
	if err != nil {
		t.Fatal(err)
	}
	speakers := find[*appsv1.DaemonSet](objects).Spec.Template
	var used []string
	for _, c := range slices.Concat(speakers.Spec.InitContainers, speakers.Spec.Containers) {
		for _, capability := range c.SecurityContext.Capabilities.Add {
			used = append(used, string(capability))
		}
	}
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(allowed, used) {
		t.Errorf("capabilities allowed %v, used %v", allowed, used)
	}
	controller := find[*appsv1.Deployment](objects).Spec.Template
	if user := controller.Spec.Containers[0].SecurityContext.RunAsUser; user != nil || controller.Annotations["openshift.io/required-scc"] != "restricted-v2" {
		t.Errorf("the controller's user is %v, its annotations %v", user, controller.Annotations)
	}
	if pod := find[*appsv1.Deployment](build(t, "config/default")).Spec.Template.Spec; pod.SecurityContext.RunAsUser != nil || pod.Containers[0].SecurityContext.RunAsUser != nil {
		t.Error("the operator's Deployment names a user, which OpenShift refuses")
	}
}

// Given what is known of the API server and of the operator, when policies are built, then nobody is kept from what he needs because it is not known.
func TestNetworkPolicies(t *testing.T) {
	for name, row := range map[string]struct {
		change         func(*manifests.Environment)
		policies, ways int
	}{
		"all is known":                      {change: func(*manifests.Environment) {}, policies: 2, ways: 2},
		"the API server's ports are not":    {change: func(e *manifests.Environment) { e.APIServerPorts = nil }, policies: 2, ways: 1},
		"the operator's ports are not":      {change: func(e *manifests.Environment) { e.OperatorPorts = nil }, policies: 1, ways: 2},
		"policies are the user's own thing": {change: func(e *manifests.Environment) { e.NoNetworkPolicies = true }},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment()
			row.change(&env)
			found := 0
			for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, env) {
				policy, ok := o.(*networkingv1.NetworkPolicy)
				if !ok {
					continue
				}
				found++
				if len(policy.Spec.PolicyTypes) != row.ways || len(policy.Spec.PodSelector.MatchLabels) == 0 || len(policy.Spec.Ingress[0].Ports) == 0 {
					t.Errorf("policy %s: %+v", policy.Name, policy.Spec)
				}
			}
			if found != row.policies {
				t.Errorf("%d policies, wanted %d", found, row.policies)
			}
		})
	}
}

// Given the Deployment of config/manager, when its pods are looked at, then the policy for the operator selects them and lets in all that they serve.
func TestThePolicyForTheOperatorIsForItsPods(t *testing.T) {
	policy := &networkingv1.NetworkPolicy{}
	for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, environment()) {
		if p, ok := o.(*networkingv1.NetworkPolicy); ok && p.Name == manifests.OperatorPolicy {
			policy = p
		}
	}
	pod := find[*appsv1.Deployment](build(t, "config/default")).Spec.Template
	for name, value := range policy.Spec.PodSelector.MatchLabels {
		if pod.Labels[name] != value {
			t.Errorf("the policy wants label %s=%s; the pod has %v", name, value, pod.Labels)
		}
	}
	for _, p := range pod.Spec.Containers[0].Ports {
		if !slices.ContainsFunc(policy.Spec.Ingress[0].Ports, func(in networkingv1.NetworkPolicyPort) bool { return in.Port.IntVal == p.ContainerPort }) {
			t.Errorf("port %s, %d, is not let in", p.Name, p.ContainerPort)
		}
	}
}

// Given the pods of an installation, when each container is looked at, then it can gain no privilege, writes only to its
// volumes, has no capability but those it names, and only controller and speaker hold a token for the API server.
func TestContainersAreLocked(t *testing.T) {
	containers := 0
	for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, environment()) {
		spec, ok := podSpec(o)
		if !ok {
			continue
		}
		if spec.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *spec.AutomountServiceAccountToken {
			t.Errorf("pod of %s: seccomp %v, token mounted by itself %t", o.GetName(), spec.SecurityContext.SeccompProfile, *spec.AutomountServiceAccountToken)
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			containers++
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
				s.Privileged != nil {
				t.Errorf("container %s: %+v", c.Name, s)
			}
			if root := *s.RunAsUser == 0; root == *s.RunAsNonRoot || !root && len(s.Capabilities.Add) > 0 {
				t.Errorf("container %s: user %d, capabilities %v: they are of use to root only", c.Name, *s.RunAsUser, s.Capabilities.Add)
			}
			token := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount"
			})
			if wanted := c.Name == manifests.Controller || c.Name == manifests.Speaker; token != wanted {
				t.Errorf("container %s: has a token: %t", c.Name, token)
			}
			if len(c.Resources.Requests) == 0 {
				t.Errorf("container %s requests nothing", c.Name)
			}
			for _, m := range c.VolumeMounts {
				if !slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
					t.Errorf("container %s mounts %s, which is not a volume of the pod", c.Name, m.Name)
				}
			}
		}
	}
	if containers != 7 {
		t.Errorf("%d containers, wanted 7", containers)
	}
}

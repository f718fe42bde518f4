package manifests_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Given a spec with one thing that cannot be used, when it is validated, then the one error names the field and what was
// found.
func TestValidateNamesTheField(t *testing.T) {
	seconds := new(int64(5))
	for name, row := range map[string]struct {
		spec  v1beta1.MetalLBSpec
		words []string
	}{
		"node selector": {v1beta1.MetalLBSpec{NodeSelector: map[string]string{"a b": "c"}}, []string{"spec.nodeSelector", "a b"}},
		"controller's node selector": {v1beta1.MetalLBSpec{ControllerNodeSelector: map[string]string{"a": "b c"}},
			[]string{"spec.controllerNodeSelector", "b c"}},
		"toleration seconds": {v1beta1.MetalLBSpec{SpeakerTolerations: []corev1.Toleration{{Key: "a", Effect: corev1.TaintEffectNoSchedule, TolerationSeconds: seconds}}},
			[]string{"spec.speakerTolerations[0].effect", "NoSchedule", "NoExecute"}},
		"toleration without key": {v1beta1.MetalLBSpec{ControllerTolerations: []corev1.Toleration{{Operator: corev1.TolerationOpEqual}}},
			[]string{"spec.controllerTolerations[0].operator", "Equal", "Exists"}},
		"toleration with value": {v1beta1.MetalLBSpec{ControllerTolerations: []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists, Value: "b"}}},
			[]string{"spec.controllerTolerations[0].value"}},
		"effect": {v1beta1.MetalLBSpec{SpeakerTolerations: []corev1.Toleration{{Key: "a", Effect: "Never"}}},
			[]string{"spec.speakerTolerations[0].effect", "Never"}},
		"annotation": {v1beta1.MetalLBSpec{SpeakerConfig: &v1beta1.PodConfig{Annotations: map[string]string{"a/b/c": ""}}},
			[]string{"spec.speakerConfig.annotations", "a/b/c"}},
		"priority class": {v1beta1.MetalLBSpec{ControllerConfig: &v1beta1.PodConfig{PriorityClassName: "High!"}},
			[]string{"spec.controllerConfig.priorityClassName", "High!"}},
		"runtime class": {v1beta1.MetalLBSpec{SpeakerConfig: &v1beta1.PodConfig{RuntimeClassName: "K_T"}},
			[]string{"spec.speakerConfig.runtimeClassName", "K_T"}},
		"request above limit": {v1beta1.MetalLBSpec{SpeakerConfig: &v1beta1.PodConfig{Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		}}}, []string{"spec.speakerConfig.resources.requests[memory]", "2Gi", "1Gi"}},
		"negative request": {v1beta1.MetalLBSpec{SpeakerConfig: &v1beta1.PodConfig{Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("-1")},
		}}}, []string{"spec.speakerConfig.resources.requests[cpu]", "-1"}},
		"log level":           {v1beta1.MetalLBSpec{LogLevel: "loud"}, []string{"spec.logLevel", "loud", "debug"}},
		"backend":             {v1beta1.MetalLBSpec{BGPBackend: "bird"}, []string{"spec.bgpBackend", "bird", "frr"}},
		"load balancer class": {v1beta1.MetalLBSpec{LoadBalancerClass: "a//b"}, []string{"spec.loadBalancerClass", "a//b"}},
		"load balancer class among others": {v1beta1.MetalLBSpec{LoadBalancerClasses: []string{"a", "b,c"}},
			[]string{"spec.loadBalancerClasses[1]", "b,c"}},
		"load balancer class without a name": {v1beta1.MetalLBSpec{LoadBalancerClasses: []string{"example.com/"}},
			[]string{"spec.loadBalancerClasses[0]", "example.com/"}},
		"negative interval": {v1beta1.MetalLBSpec{SpeakerGratuitousARPInterval: &metav1.Duration{Duration: -time.Second}},
			[]string{"spec.speakerGratuitousARPInterval", "-1s"}},
		"excluded nodes": {v1beta1.MetalLBSpec{Layer2ExcludeNodes: []v1beta1.NodeImpairment{v1beta1.NodeNotReady, "Tired"}},
			[]string{"spec.layer2ExcludeNodes[1]", "Tired", "OutOfService"}},
		"draining nodes": {v1beta1.MetalLBSpec{BGPDrain: &v1beta1.BGPDrain{Nodes: []v1beta1.NodeImpairment{v1beta1.NodeShuttingDown, "Tired"}}},
			[]string{"spec.bgpDrain.nodes[1]", "Tired", "DrainRequested"}},
		"draining taints": {v1beta1.MetalLBSpec{BGPDrain: &v1beta1.BGPDrain{Taints: []string{"example.com/a", "a b"}}},
			[]string{"spec.bgpDrain.taints[1]", "a b"}},
		"port to listen on": {v1beta1.MetalLBSpec{BGPListenPort: new(int32(70000))},
			[]string{"spec.bgpListenPort", "1 and 65535"}},
		"drain's wait": {v1beta1.MetalLBSpec{BGPDrain: &v1beta1.BGPDrain{WaitSeconds: new(int32(0))}},
			[]string{"spec.bgpDrain.waitSeconds", "1 to 3600"}},
		"shutdown's mode": {v1beta1.MetalLBSpec{BGPShutdown: &v1beta1.BGPShutdown{Mode: "Slowly"}},
			[]string{"spec.bgpShutdown.mode", "Slowly", "Withdraw"}},
		"shutdown's wait": {v1beta1.MetalLBSpec{BGPShutdown: &v1beta1.BGPShutdown{WaitSeconds: new(int32(-1))}},
			[]string{"spec.bgpShutdown.waitSeconds", "0 to 600"}},
		"no controller": {v1beta1.MetalLBSpec{ControllerReplicas: new(int32(0))}, []string{"spec.controllerReplicas", "1 to 5"}},
		"pull secret": {v1beta1.MetalLBSpec{ImagePullSecrets: []corev1.LocalObjectReference{{Name: "ok"}, {Name: "A b"}}},
			[]string{"spec.imagePullSecrets[1].name", "A b"}},
		"port out of range": {v1beta1.MetalLBSpec{Ports: &v1beta1.Ports{Health: new(int32(70000))}}, []string{"spec.ports.health", "1 and 65535"}},
		"port twice": {v1beta1.MetalLBSpec{Ports: &v1beta1.Ports{Metrics: new(int32(80)), Memberlist: new(int32(80))}},
			[]string{"spec.ports.memberlist", "80", "differ from spec.ports.metrics"}},
		"port of BGP twice": {v1beta1.MetalLBSpec{BGPListenPort: new(int32(179)), Ports: &v1beta1.Ports{Metrics: new(int32(179))}},
			[]string{"spec.ports.metrics", "differ from spec.bgpListenPort"}},
		"label": {v1beta1.MetalLBSpec{SpeakerConfig: &v1beta1.PodConfig{Labels: map[string]string{"a": "b c"}}}, []string{"spec.speakerConfig.labels", "b c"}},
		"label of the operator": {v1beta1.MetalLBSpec{ControllerConfig: &v1beta1.PodConfig{Labels: map[string]string{"component": "x"}}},
			[]string{"spec.controllerConfig.labels[component]", "the operator finds the pods"}},
		"when FRR runs": {v1beta1.MetalLBSpec{FRR: "Sometimes"}, []string{"spec.frr", "Sometimes", "WhenNeeded"}},
		"FRR's request above its limit": {v1beta1.MetalLBSpec{FRRResources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}, Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
		}}, []string{"spec.frrResources.requests[cpu]", "must not exceed"}},
		"the reloader's negative request": {v1beta1.MetalLBSpec{ReloaderResources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("-2")},
		}}, []string{"spec.reloaderResources.requests[cpu]", "-2"}},
		"excluded links": {v1beta1.MetalLBSpec{Layer2ExcludeInterfaces: []string{"^lo$", "eth["}},
			[]string{"spec.layer2ExcludeInterfaces[1]", "eth[", "regular expression"}},
		"all links":         {v1beta1.MetalLBSpec{Layer2ExcludeInterfaces: []string{""}}, []string{"spec.layer2ExcludeInterfaces[0]", "every link"}},
		"negative debounce": {v1beta1.MetalLBSpec{BGPDebounceTimeout: &metav1.Duration{Duration: -time.Second}}, []string{"spec.bgpDebounceTimeout", "-1s"}},
		"probes without a pause": {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{ProbeInterval: &metav1.Duration{}}},
			[]string{"spec.memberlist.probeInterval", "above zero"}},
		"no suspicion": {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{SuspicionMult: new(int32(0))}},
			[]string{"spec.memberlist.suspicionMult", "above zero"}},
		"an answer after the next question": {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{ProbeTimeout: &metav1.Duration{Duration: time.Second}}},
			[]string{"spec.memberlist.probeTimeout", "1s", "shorter than spec.memberlist.probeInterval, 200ms"}},
		"a question before the answer": {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{WAN: true, ProbeInterval: &metav1.Duration{Duration: time.Second}}},
			[]string{"spec.memberlist.probeTimeout", "3s", "shorter than spec.memberlist.probeInterval, 1s"}},
		"update's strategy": {v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{Strategy: "Quick"}},
			[]string{"spec.speakerUpdate.strategy", "Quick", "Ordered"}},
		"update's number": {v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{MaxUnavailable: new(intstr.FromInt32(0))}},
			[]string{"spec.speakerUpdate.maxUnavailable", "0", "at least 1"}},
		"update's percentage": {v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{MaxUnavailable: new(intstr.FromString("120%"))}},
			[]string{"spec.speakerUpdate.maxUnavailable", "120%", "100%"}},
		"update's words": {v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{MaxUnavailable: new(intstr.FromString("some"))}},
			[]string{"spec.speakerUpdate.maxUnavailable", "some"}},
		"update's wait": {v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{SessionWaitSeconds: new(int32(-1))}},
			[]string{"spec.speakerUpdate.sessionWaitSeconds", "0 to 86400"}},
		"fencing": {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{Fencing: "strict"}},
			[]string{"spec.memberlist.fencing", `"strict"`, "Strict"}},
		"fencing without gossip": {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{Disabled: true, Fencing: v1beta1.FencingProven}},
			[]string{"spec.memberlist.fencing", "Proven", "spec.memberlist.disabled is true"}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := manifests.Validate(row.spec)
			if len(errs) != 1 {
				t.Fatalf("%d errors, wanted 1: %v", len(errs), errs)
			}
			for _, words := range row.words {
				if !strings.Contains(errs[0].Error(), words) {
					t.Errorf("error does not say %q: %v", words, errs[0])
				}
			}
		})
	}
}

// Given each backend, when it is asked for, then only another one than FRR is explained.
func TestSubstituted(t *testing.T) {
	for _, backend := range []v1beta1.BGPBackend{"", v1beta1.BGPBackendFRR} {
		if text := manifests.Substituted(v1beta1.MetalLBSpec{BGPBackend: backend}); text != "" {
			t.Errorf("%q: %s", backend, text)
		}
	}
	for _, backend := range []v1beta1.BGPBackend{v1beta1.BGPBackendNative, v1beta1.BGPBackendFRRK8s, v1beta1.BGPBackendFRRK8sExternal} {
		if text := manifests.Substituted(v1beta1.MetalLBSpec{BGPBackend: backend}); !strings.Contains(text, string(backend)+",") {
			t.Errorf("%q: %s", backend, text)
		}
	}
}

package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// mostControllers bounds spec.controllerReplicas: one works, and each of the others holds all Services in memory.
const mostControllers = 5

// Validate returns what in spec would give pods that the API server refuses or programs that do not start, by field. The
// schema of the CustomResourceDefinition catches most of it earlier; an object may be older than the schema.
func Validate(spec v1beta1.MetalLBSpec) field.ErrorList {
	path := field.NewPath("spec")
	errs := slices.Concat(
		metav1validation.ValidateLabels(spec.NodeSelector, path.Child("nodeSelector")),
		metav1validation.ValidateLabels(spec.ControllerNodeSelector, path.Child("controllerNodeSelector")),
		validateTolerations(spec.SpeakerTolerations, path.Child("speakerTolerations")),
		validateTolerations(spec.ControllerTolerations, path.Child("controllerTolerations")),
		validateConfig(spec.SpeakerConfig, path.Child("speakerConfig")),
		validateConfig(spec.ControllerConfig, path.Child("controllerConfig")),
		validateOneOf(string(spec.LogLevel), path.Child("logLevel"), logLevels()),
		validateOneOf(string(spec.BGPBackend), path.Child("bgpBackend"), backends()),
	)
	if class := spec.LoadBalancerClass; class != "" {
		errs = append(errs, validateClass(class, path.Child("loadBalancerClass"))...)
	}
	for i, class := range spec.LoadBalancerClasses {
		errs = append(errs, validateClass(class, path.Child("loadBalancerClasses").Index(i))...)
	}
	if interval := spec.SpeakerGratuitousARPInterval; interval != nil && interval.Duration < 0 {
		errs = append(errs, field.Invalid(path.Child("speakerGratuitousARPInterval"), interval.Duration.String(),
			"must not be negative"))
	}
	if timeout := spec.BGPDebounceTimeout; timeout != nil && timeout.Duration < 0 {
		errs = append(errs, field.Invalid(path.Child("bgpDebounceTimeout"), timeout.Duration.String(), "must not be negative"))
	}
	return slices.Concat(errs, validatePods(spec, path), validatePorts(spec, path), validateLayer2(spec, path),
		validatePrometheus(prometheusOf(spec), path.Child("prometheus")),
		validateDrain(spec, path.Child("bgpDrain")), validateShutdown(spec, path.Child("bgpShutdown")),
		validateUpdate(spec, path.Child("speakerUpdate")))
}

// validatePods checks what is about the pods of one or both programs.
func validatePods(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	errs := slices.Concat(
		validateOneOf(string(spec.FRR), path.Child("frr"), []string{string(v1beta1.FRRWhenNeeded), string(v1beta1.FRRAlways)}),
		validateResources(spec.FRRResources, path.Child("frrResources")),
		validateResources(spec.ReloaderResources, path.Child("reloaderResources")),
	)
	if n := spec.ControllerReplicas; n != nil && (*n < 1 || *n > mostControllers) {
		errs = append(errs, field.Invalid(path.Child("controllerReplicas"), *n, fmt.Sprintf("must be from 1 to %d", mostControllers)))
	}
	for i, secret := range spec.ImagePullSecrets {
		for _, wrong := range apivalidation.NameIsDNSSubdomain(secret.Name, false) {
			errs = append(errs, field.Invalid(path.Child("imagePullSecrets").Index(i).Child("name"), secret.Name, wrong))
		}
	}
	return errs
}

// validatePorts checks that the ports of the pods can be used. That they differ from those of the operator's environment is not known here; the
// pods would say so.
func validatePorts(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	type port struct {
		at    *field.Path
		value *int32
	}
	ports := []port{{path.Child("bgpListenPort"), spec.BGPListenPort}}
	if p := spec.Ports; p != nil {
		at := path.Child("ports")
		ports = append(ports, port{at.Child("metrics"), p.Metrics}, port{at.Child("health"), p.Health}, port{at.Child("memberlist"), p.Memberlist})
	}
	var errs field.ErrorList
	taken := map[int32]*field.Path{}
	for _, p := range ports {
		if p.value == nil {
			continue
		}
		for _, wrong := range validation.IsValidPortNum(int(*p.value)) {
			errs = append(errs, field.Invalid(p.at, *p.value, wrong))
		}
		if other := taken[*p.value]; other != nil {
			errs = append(errs, field.Invalid(p.at, *p.value, fmt.Sprintf("must differ from %s", other)))
		}
		taken[*p.value] = p.at
	}
	return errs
}

func validateLayer2(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, impairment := range spec.Layer2ExcludeNodes {
		errs = append(errs, validateOneOf(string(impairment), path.Child("layer2ExcludeNodes").Index(i), impairments())...)
	}
	fencing, at := memberlistOf(spec).Fencing, path.Child("memberlist", "fencing")
	errs = append(errs, validateOneOf(string(fencing), at, fencings())...)
	if !gossips(spec) && fencing != "" && fencing != v1beta1.FencingNever {
		errs = append(errs, field.Invalid(at, fencing, "must be Never or unset where spec.memberlist.disabled is true: "+
			"a speaker that does not gossip cannot lose sight of others"))
	}
	return slices.Concat(errs, validateTuning(spec, path.Child("memberlist")), validateExcludedInterfaces(spec, path.Child("layer2ExcludeInterfaces")))
}

// validateClass checks the name of a load balancer class as the API server does in a Service.
func validateClass(class string, path *field.Path) field.ErrorList {
	if wrong := validation.IsQualifiedName(class); len(wrong) > 0 {
		return field.ErrorList{field.Invalid(path, class, strings.Join(wrong, "; "))}
	}
	return nil
}

// Substituted returns why the BGP backend that spec names is not the one that runs, "" where it is.
func Substituted(spec v1beta1.MetalLBSpec) string {
	switch spec.BGPBackend {
	case "", v1beta1.BGPBackendFRR:
		return ""
	default:
		return fmt.Sprintf("spec.bgpBackend is %s, but this operator runs FRR beside the speaker, as for frr: "+
			"the other backends are accepted for compatibility only; set it to frr or remove it", spec.BGPBackend)
	}
}

func logLevels() []string {
	return []string{string(v1beta1.LogLevelAll), string(v1beta1.LogLevelDebug), string(v1beta1.LogLevelInfo),
		string(v1beta1.LogLevelWarn), string(v1beta1.LogLevelError), string(v1beta1.LogLevelNone)}
}

func backends() []string {
	return []string{string(v1beta1.BGPBackendNative), string(v1beta1.BGPBackendFRR), string(v1beta1.BGPBackendFRRK8s),
		string(v1beta1.BGPBackendFRRK8sExternal)}
}

func impairments() []string {
	return []string{string(v1beta1.NodeNotReady), string(v1beta1.NodeOutOfService), string(v1beta1.NodeUnschedulable),
		string(v1beta1.NodeShuttingDown), string(v1beta1.NodeDrainRequested)}
}

func fencings() []string {
	return []string{string(v1beta1.FencingProven), string(v1beta1.FencingStrict), string(v1beta1.FencingNever)}
}

func validateOneOf(found string, path *field.Path, wanted []string) field.ErrorList {
	if found == "" || slices.Contains(wanted, found) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, found, wanted)}
}

func validateTolerations(tolerations []corev1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, t := range tolerations {
		at := path.Index(i)
		if t.Key != "" {
			errs = append(errs, metav1validation.ValidateLabelName(t.Key, at.Child("key"))...)
		} else if t.Operator != corev1.TolerationOpExists {
			errs = append(errs, field.Invalid(at.Child("operator"), t.Operator, "must be Exists where key is empty"))
		}
		if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
			errs = append(errs, field.Invalid(at.Child("effect"), t.Effect, "must be NoExecute where tolerationSeconds is set"))
		}
		errs = append(errs, validateOneOf(string(t.Effect), at.Child("effect"), []string{string(corev1.TaintEffectNoSchedule),
			string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute)})...)
		errs = append(errs, validateOneOf(string(t.Operator), at.Child("operator"), []string{string(corev1.TolerationOpExists),
			string(corev1.TolerationOpEqual)})...)
		if t.Operator == corev1.TolerationOpExists && t.Value != "" {
			errs = append(errs, field.Invalid(at.Child("value"), t.Value, "must be empty where operator is Exists"))
		}
	}
	return errs
}

func validateConfig(config *v1beta1.PodConfig, path *field.Path) field.ErrorList {
	if config == nil {
		return nil
	}
	errs := slices.Concat(apivalidation.ValidateAnnotations(config.Annotations, path.Child("annotations")),
		metav1validation.ValidateLabels(config.Labels, path.Child("labels")))
	for name := range podLabels("") {
		if value, found := config.Labels[name]; found {
			errs = append(errs, field.Invalid(path.Child("labels").Key(name), value, "must not be set: by this label the operator finds the pods"))
		}
	}
	for name, value := range map[string]string{
		"priorityClassName": config.PriorityClassName, "runtimeClassName": config.RuntimeClassName,
	} {
		if value == "" {
			continue
		}
		for _, wrong := range apivalidation.NameIsDNSSubdomain(value, false) {
			errs = append(errs, field.Invalid(path.Child(name), value, wrong))
		}
	}
	errs = append(errs, validateResources(config.Resources, path.Child("resources"))...)
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs
}

// validateResources checks that no request exceeds its limit, which the API server refuses in a pod.
func validateResources(resources *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	if resources == nil {
		return nil
	}
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(resources.Requests)) {
		request := resources.Requests[name]
		limit, limited := resources.Limits[name]
		if limited && request.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), request.String(),
				fmt.Sprintf("must not exceed the limit, %s", limit.String())))
		}
		if request.Sign() < 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), request.String(), "must not be negative"))
		}
	}
	return errs
}

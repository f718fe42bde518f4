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
	if port := spec.BGPListenPort; port != nil {
		for _, wrong := range validation.IsValidPortNum(int(*port)) {
			errs = append(errs, field.Invalid(path.Child("bgpListenPort"), *port, wrong))
		}
	}
	return slices.Concat(errs, validateLayer2(spec, path), validateDrain(spec, path.Child("bgpDrain")), validateShutdown(spec, path.Child("bgpShutdown")))
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
	return errs
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
	errs := apivalidation.ValidateAnnotations(config.Annotations, path.Child("annotations"))
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

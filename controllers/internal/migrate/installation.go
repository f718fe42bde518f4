package migrate

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// classesOf is which Services an installation serves.
func classesOf(spec v1beta1.MetalLBSpec) kubeview.Classes {
	c := kubeview.Classes{Names: slices.Clone(spec.LoadBalancerClasses), AlsoUnclassed: spec.LoadBalancerAlsoUnclassed}
	if spec.LoadBalancerClass != "" {
		c.Names = append(c.Names, spec.LoadBalancerClass)
	}
	return c
}

// installation finds out what MetalLB was told, and says it as a MetalLB object.
func (r *Report) installation(w *World) {
	controllers, speakers := w.of(RoleController), w.of(RoleSpeaker)
	if len(controllers)+len(speakers) == 0 {
		r.add(Note, "MetalLB", "", "none of its programs was found: what they were told is not known; Services without a load balancer class are looked at")
	}
	for i := range w.Installations {
		o := &w.Installations[i]
		if o.Name != v1beta1.MetalLBName {
			r.add(Note, "MetalLB "+o.Namespace+"/"+o.Name, "", "is not named %s and has no effect, as before", v1beta1.MetalLBName)
			continue
		}
		r.Spec = *o.Spec.DeepCopy()
		r.add(Keep, "MetalLB "+o.Namespace+"/"+o.Name, "", "the operator goes on with it as it is")
		r.backend("MetalLB "+o.Namespace+"/"+o.Name, string(o.Spec.BGPBackend))
		for _, l := range w.of(RoleOperator) {
			r.operator(l)
		}
		return
	}
	for _, l := range controllers {
		r.program(l)
	}
	for _, l := range speakers {
		r.program(l)
		r.gossip(l)
	}
}

// meaning is what a flag or an environment variable of MetalLB's programs becomes.
type meaning func(r *Report, l *Workload, value string)

// nothing is for what has no counterpart because nobody misses it.
func nothing(*Report, *Workload, string) {}

// said notes something that is different.
func said(format string) meaning {
	return func(r *Report, l *Workload, value string) {
		r.add(Note, l.String(), "", "%s", strings.ReplaceAll(format, "VALUE", value))
	}
}

// port is for a port of the programs, unless it is the usual one.
func port(name, usual string, field func(*v1beta1.Ports) **int32) meaning {
	return func(r *Report, l *Workload, value string) {
		number, err := strconv.ParseUint(value, 10, 16)
		if value == usual || err != nil || number == 0 {
			return
		}
		if r.Spec.Ports == nil {
			r.Spec.Ports = &v1beta1.Ports{}
		}
		if to := field(r.Spec.Ports); *to == nil {
			*to = new(int32(number))
			r.add(Keep, l.String(), "", "its port %s becomes spec.ports.%s", value, name)
		}
	}
}

func (r *Report) memberlist() *v1beta1.MemberlistConfig {
	if r.Spec.Memberlist == nil {
		r.Spec.Memberlist = &v1beta1.MemberlistConfig{}
	}
	return r.Spec.Memberlist
}

// flagMeanings are those of MetalLB's flags (docs/migrate.md). What is not here is reported.
var flagMeanings = map[string]meaning{
	"lb-class": func(r *Report, l *Workload, value string) {
		if value != "" && r.Spec.LoadBalancerClass == "" {
			r.Spec.LoadBalancerClass = value
			r.add(Keep, l.String(), "", "--lb-class=%s becomes spec.loadBalancerClass", value)
		}
	},
	"log-level": func(r *Report, l *Workload, value string) {
		if value == "" || value == string(v1beta1.LogLevelInfo) || value == string(r.Spec.LogLevel) {
			return
		}
		if r.Spec.LogLevel != "" {
			r.add(Note, l.String(), "", "--log-level=%s becomes spec.logLevel, which is one for controller and speakers", value)
		}
		r.Spec.LogLevel = v1beta1.LogLevel(value)
	},
	"port":              port("metrics", "9120", func(p *v1beta1.Ports) **int32 { return &p.Metrics }),
	"health-probe-port": port("health", "17472", func(p *v1beta1.Ports) **int32 { return &p.Health }),
	"ml-bindport":       port("memberlist", "7946", func(p *v1beta1.Ports) **int32 { return &p.Memberlist }),
	"ignore-exclude-lb": func(r *Report, l *Workload, value string) {
		if value == "true" && !r.Spec.IgnoreExcludeLB {
			r.Spec.IgnoreExcludeLB = true
			r.add(Keep, l.String(), "", "--ignore-exclude-lb becomes spec.ignoreExcludeLB")
		}
	},
	"ml-wan-config": func(r *Report, l *Workload, value string) {
		if value == "true" {
			r.memberlist().WAN = true
			r.add(Keep, l.String(), "", "--ml-wan-config becomes spec.memberlist.wan")
		}
	},
	"ml-bindaddr":               nothing, // see gossip
	"ml-labels":                 nothing,
	"ml-secret-key-path":        nothing,
	"ml-secret-name":            nothing,
	"bgp-debounce-timeout":      said("--bgp-debounce-timeout=VALUE has no counterpart: changes reach routers at once"),
	"frrk8s-namespace":          nothing,
	"frrk8s-secret-passthrough": nothing,
	"tls-cipher-suites":         said("--tls-cipher-suites=VALUE is not taken over: Go's own choice is served"),
	"tls-curve-preferences":     said("--tls-curve-preferences=VALUE is not taken over: Go's own choice is served"),
	"tls-min-version":           said("--tls-min-version=VALUE is not taken over"),
	"metrics-cert-dir":          metricsCertificate,
	"pprof-bind-address":        said("--pprof-bind-address=VALUE is not taken over"),
	"namespace":                 nothing, "deployment": nothing, "host": nothing, "node-name": nothing, "pod-name": nothing, "webhook-mode": nothing, "webhook-secret": nothing,
	"webhook-http2": nothing, "disable-cert-rotation": nothing, "cert-dir": nothing, "cert-service-name": nothing,
}

// metricsCertificate takes over the Secret with the certificate of the metrics.
func metricsCertificate(r *Report, l *Workload, folder string) {
	secret := l.secretAt(folder)
	if secret == "" {
		r.add(Note, l.String(), "", "--metrics-cert-dir=%s is no Secret's: metrics are served with a certificate that the program makes", folder)
		return
	}
	if r.Spec.Prometheus == nil {
		r.Spec.Prometheus = &v1beta1.PrometheusConfig{}
	}
	if l.Role == RoleController {
		r.Spec.Prometheus.ControllerMetricsTLSSecret = secret
	} else {
		r.Spec.Prometheus.SpeakerMetricsTLSSecret = secret
	}
	r.add(Keep, l.String(), "", "metrics go on being served with the certificate in Secret %s: spec.prometheus.%sMetricsTLSSecret", secret, l.Role)
}

// byEnvironment are the flags that MetalLB's programs also take from their environment.
var byEnvironment = map[string]string{"METALLB_ML_BIND_PORT": "ml-bindport", "METALLB_BGP_DEBOUNCE_TIMEOUT": "bgp-debounce-timeout"}

// program takes over what one of MetalLB's programs was told.
func (r *Report) program(l *Workload) {
	for _, name := range slices.Sorted(maps.Keys(l.flags)) {
		if mean, ok := flagMeanings[name]; ok {
			mean(r, l, l.flags[name])
		} else {
			r.add(Note, l.String(), "", "--%s=%s is not known here and is not taken over", name, l.flags[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byEnvironment)) {
		if e, ok := l.env[name]; ok && l.flags[byEnvironment[name]] == "" {
			flagMeanings[byEnvironment[name]](r, l, e.Value)
		}
	}
	if l.Role == RoleSpeaker {
		backend := l.env["METALLB_BGP_TYPE"].Value
		if backend == "" {
			backend = string(v1beta1.BGPBackendNative)
		}
		r.backend(l.String(), backend)
	}
	r.pod(l)
}

// backend says what runs in place of MetalLB's implementations of BGP.
func (r *Report) backend(object, backend string) {
	switch v1beta1.BGPBackend(backend) {
	case v1beta1.BGPBackendNative:
		r.add(Note, object, "", "BGP is spoken by FRR in the speaker's pod in place of MetalLB's native implementation: a BGPPeer without holdTime offers 180s, not 90s")
	case v1beta1.BGPBackendFRRK8s, v1beta1.BGPBackendFRRK8sExternal:
		r.add(Note, object, "", "BGP is spoken by FRR in the speaker's pod in place of frr-k8s")
	default:
		r.add(Keep, object, "", "BGP is spoken by FRR in the speaker's pod, as before")
	}
}

// gossip takes over whether speakers tell each other who is alive.
func (r *Report) gossip(l *Workload) {
	_, byEnv := l.env["METALLB_ML_BIND_ADDR"]
	if _, byFlag := l.flags["ml-bindaddr"]; !byEnv && !byFlag {
		r.memberlist().Disabled = true
		r.add(Keep, l.String(), "", "runs without memberlist: spec.memberlist.disabled")
	}
}

// pod takes over what was set of the pods.
func (r *Report) pod(l *Workload) {
	pod, config := &l.Pod.Spec, &v1beta1.PodConfig{}
	selector := maps.Clone(pod.NodeSelector)
	delete(selector, corev1.LabelOSStable)
	if len(selector) == 0 {
		selector = nil
	}
	tolerations := slices.DeleteFunc(slices.Clone(pod.Tolerations), func(t corev1.Toleration) bool {
		return t.Effect == corev1.TaintEffectNoSchedule && t.Operator == corev1.TolerationOpExists &&
			(t.Key == "node-role.kubernetes.io/master" || t.Key == "node-role.kubernetes.io/control-plane")
	})
	config.PriorityClassName, config.Affinity = pod.PriorityClassName, pod.Affinity
	if pod.RuntimeClassName != nil {
		config.RuntimeClassName = *pod.RuntimeClassName
	}
	if reflect.DeepEqual(config, &v1beta1.PodConfig{}) {
		config = nil
	}
	if l.Role == RoleController {
		r.Spec.ControllerNodeSelector, r.Spec.ControllerTolerations, r.Spec.ControllerConfig = selector, tolerations, config
	} else {
		r.Spec.NodeSelector, r.Spec.SpeakerTolerations, r.Spec.SpeakerConfig = selector, tolerations, config
	}
	for _, c := range pod.Containers {
		if c.Name == string(l.Role) && len(c.Resources.Requests)+len(c.Resources.Limits) > 0 {
			r.add(Note, l.String(), "", "resources are not taken over: the programs need others; set spec.%sConfig.resources where you want some", l.Role)
		}
	}
	for _, secret := range pod.ImagePullSecrets {
		if !slices.Contains(r.Spec.ImagePullSecrets, secret) {
			r.Spec.ImagePullSecrets = append(r.Spec.ImagePullSecrets, secret)
		}
	}
}

// operator takes over what MetalLB's operator was told by its environment, where this one knows the same names.
func (r *Report) operator(l *Workload) {
	usual := map[string]string{"METRICS_PORT": "9120", "OPERAND_LIVENESS_PORT": "17472", "MEMBER_LIST_BIND_PORT": "7946"}
	for _, name := range slices.Sorted(maps.Keys(usual)) {
		fallback := usual[name]
		for _, c := range l.Pod.Spec.Containers {
			for _, e := range c.Env {
				if e.Name == name && e.Value != "" && e.Value != fallback {
					r.Variables[name] = e.Value
					r.add(Keep, l.String(), "", "its environment variable %s=%s is this operator's", name, e.Value)
				}
			}
		}
	}
}

// variables are the operator's environment variables in a fixed order, as NAME=VALUE.
func (r *Report) variables() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.Variables)) {
		out = append(out, fmt.Sprintf("%s=%s", name, r.Variables[name]))
	}
	return out
}

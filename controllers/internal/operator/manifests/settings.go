package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// SettingsConfigMap is the operator's: it holds what the spec says in place of the users' ConfigMaps, under the same keys.
const SettingsConfigMap = "speaker-settings"

// excludeKey is the key in ExcludeFile, MetalLB's.
const excludeKey = "announcedInterfacesToExclude"

// tuningAnnotation is, on the speakers' pods, a hash of the settings of their gossip: they read these when they start.
const tuningAnnotation = "metallb.io/memberlist"

// speakerSettings returns the ConfigMap with what the spec says about links and gossip, none where it says nothing. Both files are JSON, which is
// YAML as well.
func speakerSettings(spec v1beta1.MetalLBSpec, env Environment) []client.Object {
	data := map[string]string{}
	if len(spec.Layer2ExcludeInterfaces) > 0 {
		data[ExcludeFile] = asJSON(map[string]any{excludeKey: spec.Layer2ExcludeInterfaces})
	}
	if tuning := tuningOf(spec); len(tuning) > 0 && gossips(spec) {
		data[TuningFile] = asJSON(tuning)
	}
	if len(data) == 0 {
		return nil
	}
	return []client.Object{&corev1.ConfigMap{
		TypeMeta:   kind(corev1.SchemeGroupVersion, "ConfigMap"),
		ObjectMeta: namespaced(SettingsConfigMap, Speaker, env),
		Data:       data,
	}}
}

// tuningOf are the settings of the gossip that the spec has, by memberlist's names for them.
func tuningOf(spec v1beta1.MetalLBSpec) map[string]any {
	m, tuning := memberlistOf(spec), map[string]any{}
	for name, d := range map[string]*metav1.Duration{
		"ProbeInterval": m.ProbeInterval, "ProbeTimeout": m.ProbeTimeout, "GossipInterval": m.GossipInterval,
	} {
		if d != nil {
			tuning[name] = d.Duration.String()
		}
	}
	if m.SuspicionMult != nil {
		tuning["SuspicionMult"] = *m.SuspicionMult
	}
	return tuning
}

// tuningSum is a hash of the settings of the gossip, "" where the spec has none.
func tuningSum(spec v1beta1.MetalLBSpec) string {
	tuning := tuningOf(spec)
	if len(tuning) == 0 || !gossips(spec) {
		return ""
	}
	sum := sha256.Sum256([]byte(asJSON(tuning)))
	return hex.EncodeToString(sum[:8])
}

// asJSON is for what always can be written as JSON. Keys are sorted.
func asJSON(content map[string]any) string {
	text, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("write %v as JSON: %v", content, err))
	}
	return string(text)
}

func validateExcludedInterfaces(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, text := range spec.Layer2ExcludeInterfaces {
		switch _, err := regexp.Compile(text); {
		case text == "":
			errs = append(errs, field.Invalid(path.Index(i), text, "must not be empty: it would match every link"))
		case err != nil:
			errs = append(errs, field.Invalid(path.Index(i), text, "must be a regular expression: "+err.Error()))
		}
	}
	return errs
}

func validateTuning(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	m := memberlistOf(spec)
	var errs field.ErrorList
	for _, d := range []struct {
		name  string
		value *metav1.Duration
	}{{"probeInterval", m.ProbeInterval}, {"probeTimeout", m.ProbeTimeout}, {"gossipInterval", m.GossipInterval}} {
		if d.value != nil && d.value.Duration <= 0 {
			errs = append(errs, field.Invalid(path.Child(d.name), d.value.Duration.String(), "must be above zero"))
		}
	}
	if m.SuspicionMult != nil && *m.SuspicionMult < 1 {
		errs = append(errs, field.Invalid(path.Child("suspicionMult"), *m.SuspicionMult, "must be above zero"))
	}
	interval, timeout := durationOr(m.ProbeInterval, 200*time.Millisecond), durationOr(m.ProbeTimeout, 60*time.Millisecond)
	if m.WAN {
		interval, timeout = durationOr(m.ProbeInterval, 5*time.Second), durationOr(m.ProbeTimeout, 3*time.Second)
	}
	if len(errs) == 0 && timeout >= interval {
		errs = append(errs, field.Invalid(path.Child("probeTimeout"), timeout.String(),
			fmt.Sprintf("must be shorter than spec.memberlist.probeInterval, %s", interval)))
	}
	return errs
}

func durationOr(d *metav1.Duration, usual time.Duration) time.Duration {
	if d == nil {
		return usual
	}
	return d.Duration
}

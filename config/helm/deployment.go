package helm

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// deployment is the operator's Deployment with its only container.
type deployment struct {
	object    *unstructured.Unstructured
	pod       map[string]any // the pod's spec
	metadata  map[string]any // the pod's metadata
	container map[string]any
}

func readDeployment(o *unstructured.Unstructured) (*deployment, error) {
	d := &deployment{object: o.DeepCopy()}
	spec, _ := d.object.Object["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	d.pod, _ = template["spec"].(map[string]any)
	d.metadata, _ = template["metadata"].(map[string]any)
	containers, _ := d.pod["containers"].([]any)
	if len(containers) != 1 {
		return nil, fmt.Errorf("deployment %s: found %d containers, wanted one", o.GetName(), len(containers))
	}
	d.container, _ = containers[0].(map[string]any)
	return d, nil
}

// variable returns the value of an environment variable.
func (d *deployment) variable(name string) string {
	env, _ := d.container["env"].([]any)
	for _, e := range env {
		if e := e.(map[string]any); e["name"] == name {
			value, _ := e["value"].(string)
			return value
		}
	}
	return ""
}

// flag returns the value of a flag.
func (d *deployment) flag(name string) string {
	args, _ := d.container["args"].([]any)
	for _, a := range args {
		if value, ok := strings.CutPrefix(a.(string), name+"="); ok {
			return value
		}
	}
	return ""
}

// images are the environment variables by which the operator learns the images of what it installs, with where the values have each.
var images = map[string]string{"CONTROLLER_IMAGE": ".Values.controller.image", "SPEAKER_IMAGE": ".Values.speaker.image", "FRR_IMAGE": ".Values.speaker.frr.image"}

// ports are those of the operator's environment variables that a port in the values is for, with the operator's own default.
var ports = []struct{ variable, path, unset string }{
	{"METRICS_PORT", "prometheus.metricsPort", "9120"},
	{"MEMBER_LIST_BIND_PORT", "speaker.memberlist.mlBindPort", "7946"},
}

// template writes the Deployment's template.
func (d *deployment) template(namespace string) ([]byte, error) {
	o, err := readDeployment(d.object)
	if err != nil {
		return nil, err
	}
	t := newTemplate()
	spec := o.object.Object["spec"].(map[string]any)
	spec["replicas"] = t.mark("{{ .Values.operator.replicas }}")
	for _, m := range [][2]string{{"annotations", "operator.podAnnotations"}, {"labels", "operator.podLabels"}} {
		name, path := m[0], m[1]
		entries, ok := o.metadata[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("config/manager: found no %s of the pod", name)
		}
		mark := t.entries(path)
		entries[mark] = mark
	}
	// In the order in which they stand in the chart.
	for _, key := range [][2]string{
		{"affinity", "operator.affinity"}, {"imagePullSecrets", "imagePullSecrets"}, {"nodeSelector", "operator.nodeSelector"}, {"tolerations", "operator.tolerations"},
	} {
		t.key(o.pod, key[0], key[1])
	}
	mark := t.mark("{{- with .Values.operator.priorityClassName }}\npriorityClassName: {{ . | quote }}\n{{- end }}")
	o.pod[mark] = mark
	t.key(o.container, "resources", "operator.resources")
	o.container["image"] = t.mark(`{{ include "metallb-operator.image" (list .Values.image dict) | quote }}`)
	o.container["imagePullPolicy"] = t.mark("{{ .Values.image.pullPolicy }}")
	if err := o.markVariables(t); err != nil {
		return nil, err
	}
	if err := o.markFlags(t); err != nil {
		return nil, err
	}
	return t.render(o.object, namespace)
}

// markVariables has images, ports and more come from the values.
func (d *deployment) markVariables(t *template) error {
	env, _ := d.container["env"].([]any)
	for _, e := range env {
		variable := e.(map[string]any)
		path, ok := images[variable["name"].(string)]
		if !ok {
			continue
		}
		base := ".Values.image"
		if variable["name"] == "FRR_IMAGE" {
			base = "dict"
		}
		variable["value"] = t.mark(`{{ include "metallb-operator.image" (list ` + base + " " + path + `) | quote }}`)
	}
	for _, p := range ports {
		if d.variable(p.variable) != "" {
			return fmt.Errorf("config/manager: found %s: the chart sets it", p.variable)
		}
		env = append(env, t.mark("{{- if ne (int .Values."+p.path+") "+p.unset+" }}\n- name: "+p.variable+
			"\n  value: {{ int .Values."+p.path+" | quote }}\n{{- end }}"))
	}
	d.container["env"] = append(env, t.entries("operator.env"))
	return nil
}

// markFlags has the log level come from the values, and more flags.
func (d *deployment) markFlags(t *template) error {
	args, _ := d.container["args"].([]any)
	for i, a := range args {
		if strings.HasPrefix(a.(string), logLevel+"=") {
			args[i] = logLevel + "=" + t.mark("{{ .Values.operator.logLevel }}")
			d.container["args"] = append(args, t.entries("operator.args"))
			return nil
		}
	}
	return errors.New("config/manager: found no flag " + logLevel)
}

const logLevel = "--log-level"

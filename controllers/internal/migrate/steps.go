package migrate

import (
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Steps says, as commands for a shell, how this product takes w over. The addresses stay because nobody gives any between step 2 and step 8, and because
// the controller takes those that Services have for given.
func Steps(w *World, r *Report, out io.Writer) error {
	s := &script{w: w, r: r}
	s.backup()
	s.stopGiving()
	s.webhooks()
	s.definitions()
	s.releases()
	// Where there is a MetalLB object already the operator acts on it as soon as it runs, and would find DaemonSets of the same name.
	if len(w.Installations) > 0 {
		s.stopAnnouncing("6")
		s.operator("7")
	} else {
		s.operator("6")
		s.stopAnnouncing("7")
	}
	if err := s.installation(); err != nil {
		return err
	}
	s.compare()
	_, err := io.WriteString(out, s.text.String())
	return err
}

// script is what Steps writes.
type script struct {
	w    *World
	r    *Report
	text strings.Builder
}

func (s *script) step(number, title string) { fmt.Fprintf(&s.text, "\n# %s. %s\n", number, title) }

func (s *script) line(format string, args ...any) { fmt.Fprintf(&s.text, format+"\n", args...) }

// addresses prints every Service with its addresses.
const addresses = `kubectl get services -A -o jsonpath='{range .items[?(@.spec.type=="LoadBalancer")]}{.metadata.namespace}/{.metadata.name} {.status.loadBalancer.ingress[*].ip}{"\n"}{end}' | sort`

func (s *script) backup() {
	s.line("# Read each step before you run it; nothing here waits for you.")
	s.step("1", "Keep what there is")
	s.line("%s > addresses-before.txt", addresses)
	s.line("kubectl get -n %s ipaddresspools.metallb.io,l2advertisements.metallb.io,bgpadvertisements.metallb.io,bgppeers.metallb.io,bfdprofiles.metallb.io,"+
		"communities.metallb.io,configmaps,secrets -o yaml > metallb-before.yaml", s.w.Namespace)
}

func (s *script) stopGiving() {
	s.step("2", "Stop what gives and takes addresses. Speakers go on announcing")
	for _, o := range s.w.Others {
		if o.GetKind() == "Subscription" {
			s.line("kubectl delete -n %s subscriptions.operators.coreos.com %s", o.GetNamespace(), o.GetName())
			s.line("kubectl delete -n %s clusterserviceversions.operators.coreos.com -l operators.coreos.com/metallb-operator.%s=", o.GetNamespace(), o.GetNamespace())
		}
	}
	for _, l := range s.w.of(RoleOperator, RoleWebhooks, RoleController) {
		s.line("kubectl delete -n %s %s --ignore-not-found", l.Namespace, l.ref())
	}
}

func (s *script) webhooks() {
	s.step("3", "Nothing that is gone is to be asked about edits; Service and Secret have the names of this product's own")
	for i := range s.w.Webhooks {
		s.line("kubectl delete validatingwebhookconfiguration %s", s.w.Webhooks[i].Name)
	}
	s.line("kubectl delete -n %s service/metallb-webhook-service secret/metallb-webhook-cert --ignore-not-found", s.w.Namespace)
}

func (s *script) definitions() {
	s.step("4", "The definitions of this version, without conversion. The objects stay")
	for i := range s.w.Definitions {
		if d := &s.w.Definitions[i]; converts(d) {
			s.line(`kubectl patch crd %s --type=merge -p '{"spec":{"conversion":{"strategy":"None","webhook":null}}}'`, d.Name)
		}
	}
	s.line("kubectl apply --server-side --force-conflicts -k config/crd")
}

func (s *script) releases() {
	if len(s.w.Releases) == 0 {
		return
	}
	s.step("5", "Helm forgets MetalLB. Never helm uninstall it: that deletes the definitions, and with them all configuration")
	for _, release := range s.w.Releases {
		s.line("kubectl delete -n %s secret -l owner=helm,name=%s", s.w.Namespace, release)
	}
}

func (s *script) operator(number string) {
	s.step(number, "The operator. Set where its images are first: docs/install.md")
	variables := s.r.variables()
	if s.w.Namespace != DefaultNamespace {
		s.line("# The configuration is in namespace %s, so the operator has to be there.", s.w.Namespace)
		fmt.Fprintf(&s.text, "helm install metallb-operator charts/metallb-operator -n %s --skip-crds", s.w.Namespace)
		for i, v := range variables {
			name, value, _ := strings.Cut(v, "=")
			fmt.Fprintf(&s.text, " --set 'operator.env[%d].name=%s' --set-string 'operator.env[%d].value=%s'", i, name, i, value)
		}
		s.line("")
	} else {
		s.line("kubectl apply -k config/default")
		if len(variables) > 0 {
			s.line("kubectl set env -n %s deployment/metallb-operator-controller-manager %s", s.w.Namespace, strings.Join(variables, " "))
		}
	}
	s.line("kubectl rollout status -n %s deployment/metallb-operator-controller-manager", s.w.Namespace)
}

func (s *script) stopAnnouncing(number string) {
	s.step(number, "MetalLB's speakers go: from here to the end of step 8 nothing is announced")
	for _, l := range s.w.of(RoleSpeaker) {
		s.line("kubectl delete -n %s %s", l.Namespace, l.ref())
		s.line("kubectl wait -n %s pod -l %s --for=delete --timeout=2m", l.Namespace, selectorOf(l))
	}
	others := s.w.otherFRR()
	for _, o := range s.w.FRR {
		if o.GetKind() == kindFRRConfiguration && strings.HasPrefix(o.GetName(), "metallb-") {
			s.line("kubectl delete -n %s frrconfigurations.frrk8s.metallb.io %s", o.GetNamespace(), o.GetName())
		}
	}
	if len(others) > 0 {
		return
	}
	for _, l := range s.w.of(RoleFRR) {
		s.line("kubectl delete -n %s %s", l.Namespace, l.ref())
	}
}

// selectorOf selects the pods of a workload by the labels that tell it from others.
func selectorOf(l *Workload) string {
	for _, key := range []string{"component", "app.kubernetes.io/component"} {
		if value := l.Pod.Labels[key]; value != "" {
			return key + "=" + value
		}
	}
	return "app=metallb"
}

func (s *script) installation() error {
	if len(s.w.Installations) > 0 {
		s.step("8", "Wait: the operator acts on the MetalLB object that is there")
	} else {
		s.step("8", "What MetalLB's programs were told, as a MetalLB object")
		spec, err := yaml.Marshal(map[string]any{
			"apiVersion": v1beta1.GroupVersion.String(), "kind": "MetalLB",
			"metadata": map[string]any{"name": v1beta1.MetalLBName, "namespace": s.w.Namespace}, "spec": s.r.Spec,
		})
		if err != nil {
			return fmt.Errorf("write the MetalLB object: %w", err)
		}
		s.line("kubectl apply -f - <<'EOF'\n%sEOF", spec)
	}
	s.line("kubectl wait --for=condition=Available -n %s metallb/%s --timeout=5m", s.w.Namespace, v1beta1.MetalLBName)
	return nil
}

func (s *script) compare() {
	s.step("9", "The same addresses as before: diff says nothing, but for Services that had none")
	s.line("%s | diff addresses-before.txt -", addresses)
	if len(s.w.Releases) == 0 {
		return
	}
	s.step("10", "What is left of the release, for you to delete: it does nothing any more")
	for _, release := range s.w.Releases {
		s.line("kubectl get -n %s serviceaccounts,roles,rolebindings,services,networkpolicies -l app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance=%s", s.w.Namespace, release)
		s.line("kubectl get clusterroles,clusterrolebindings -l app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance=%s", release)
	}
}

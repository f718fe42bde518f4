package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/crd"
	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/port"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

// Given the operator on a real API server, when a real Prometheus reads its metrics over HTTPS with the token of a ServiceAccount, then it sees how the
// installation fares, and the alert on pods that nobody makes.
func TestPrometheusReadsTheOperator(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	server := apiserver.Run(t, apiserver.Options{})
	scheme, err := operator.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	create := func(o client.Object) {
		t.Helper()
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	definitions, err := crd.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range definitions {
		create(d)
	}
	create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "metallb-system"}})
	address := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	options, err := parse([]string{"--metrics-addr=" + address, "--webhook-port=0", fmt.Sprintf("--port=%d", port.Free(t))}, func(name string) string { return complete()[name] })
	if err != nil {
		t.Fatal(err)
	}

	p := prometheus.Start(t, config(t, token(t, admin, create), address))
	p.Eventually(t, func() error { return admin.List(t.Context(), &v1beta1.MetalLBList{}) })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, server.Config(), options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended: %v", err)
		}
	})
	create(&v1beta1.MetalLB{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: v1beta1.MetalLBName}})
	for expr, want := range map[string]string{
		`up{job="operator"}`: "1",
		// Nobody makes pods here.
		`metallb_operator_condition{type="Available"}`:                          "0",
		`metallb_operator_condition{type="Degraded"}`:                           "0",
		`metallb_operator_pods_absent{component="controller"}`:                  "1",
		`ALERTS{alertname="MetalLBPodsAbsent",component="controller"}`:          "1",
		`count(ALERTS{alertname="MetalLBNotWatched"}) or vector(0)`:             "0",
		`count(ALERTS{alertname="MetalLBOperatorDegraded"}) or vector(0)`:       "0",
		`sum(rest_client_requests_total{job="operator"}) > bool 0`:              "1",
		`count(metallb_operator_pods_absent{component="speaker"}) or vector(7)`: "1",
	} {
		p.Eventually(t, func() error {
			found, err := p.Query(expr)
			if err != nil || len(found) != 1 || found[0].Value != want {
				targets, _ := p.Targets()
				return fmt.Errorf("%s is %v (%w), want %s; targets: %+v", expr, found, err, want, targets)
			}
			return nil
		})
	}
}

// config has Prometheus read the metrics at an address every second, and evaluate this project's alerts.
func config(t *testing.T, token, address string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string][]byte{"token": []byte(token), "rules.yaml": monitoring.RulesFile()} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%[1]s/rules.yaml]
scrape_configs:
  - job_name: operator
    scheme: https
    authorization: {credentials_file: %[1]s/token}
    tls_config: {insecure_skip_verify: true}
    static_configs: [{targets: ["%[2]s"]}]
`, folder, address)
}

// token is that of a ServiceAccount that may read metrics.
func token(t *testing.T, admin client.Client, create func(client.Object)) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: "reader"}}
	create(account)
	create(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}})
	create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "metallb-system", Name: "reader"}}})
	request := &authenticationv1.TokenRequest{}
	if err := admin.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

func TestGivenARunningControllerWhenItsMetricsAreReadThenOnlyWhoMaySeesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "first", []string{"192.0.2.8-192.0.2.11"})
	p := w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.8")
	reader, other := w.reader(t), w.account(t, "other")
	for _, row := range []struct {
		who, token string
		status     int
		text       string
	}{
		{"nobody", "", http.StatusUnauthorized, "wanted a bearer token"},
		{"a stranger", "made-up", http.StatusUnauthorized, "does not know the bearer token"},
		{"who may not", other, http.StatusForbidden, "system:serviceaccount:" + w.name + ":other may not get /metrics"},
		{"who may", reader, http.StatusOK, `metallb_allocator_services_allocated_total{pool="first"} 1`},
	} {
		// What the API server knows of the rights that it has just been given lags behind.
		eventually(t, fmt.Sprintf("metrics for %s: %d %s", row.who, row.status, row.text), func() (bool, string) {
			status, body := p.scrape(t, row.token)
			return status == row.status && strings.Contains(body, row.text), fmt.Sprint(status, " ", body[:min(len(body), 200)])
		})
	}
	w.scraped(t, p, reader)
}

// scraped has a real Prometheus read the metrics of a controller with a token.
func (w *world) scraped(t *testing.T, p *process, token string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	server := prometheus.Start(t, fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: controller
    scheme: https
    authorization: {credentials_file: %s}
    tls_config: {insecure_skip_verify: true}
    static_configs: [{targets: ["127.0.0.1:%d"]}]
`, file, p.metrics))
	for expr, want := range map[string]string{
		`up`: "1", `metallb_allocator_addresses_in_use_total{pool="first"} / metallb_allocator_addresses_total`: "0.25", `metallb_allocator_pending_services`: "0",
		// Nobody announces the Service: there is no node, and no advertisement.
		`count(metallb_controller_service_unannounced{service=~".+/web",reason!=""})`: "1",
	} {
		server.Eventually(t, func() error {
			found, err := server.Query(expr)
			if err != nil || len(found) != 1 || found[0].Value != want {
				return fmt.Errorf("%s is %v (%w), want %s", expr, found, err, want)
			}
			return nil
		})
	}
}

// account creates a ServiceAccount in the test's namespace and returns a token of it.
func (w *world) account(tb testing.TB, name string) string {
	tb.Helper()
	a := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name}}
	if err := w.Create(tb.Context(), a); err != nil {
		tb.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{}
	if err := w.SubResource("token").Create(tb.Context(), a, request); err != nil {
		tb.Fatal(err)
	}
	return request.Status.Token
}

// reader returns the token of somebody who may read metrics.
func (w *world) reader(tb testing.TB) string {
	tb.Helper()
	token := w.account(tb, "reader")
	c, err := kubernetes.NewForConfig(cluster.server.Config())
	if err != nil {
		tb.Fatal(err)
	}
	may := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}}
	if _, err := c.RbacV1().ClusterRoles().Create(tb.Context(), may, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: w.name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: w.name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.name, Name: "reader"}}}
	if _, err := c.RbacV1().ClusterRoleBindings().Create(tb.Context(), binding, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	return token
}

// scrape reads the metrics with a token, or without one if it is empty.
func (p *process) scrape(tb testing.TB, token string) (status int, body string) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", p.metrics), nil)
	if err != nil {
		tb.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// The certificate is made up at each start.
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := c.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, string(text)
}

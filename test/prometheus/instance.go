package prometheus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/port"
)

// Instance is a Prometheus that runs.
type Instance struct {
	address string
	client  *http.Client
}

// At returns the Prometheus that serves its API at an address, which the client reaches.
func At(address string, client *http.Client) *Instance {
	return &Instance{address: address, client: client}
}

// Start runs Prometheus with a configuration until the test ends, and returns when it is ready. The test fails where that does not come about.
func Start(tb testing.TB, config string) *Instance {
	tb.Helper()
	folder := tb.TempDir()
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	i := At(fmt.Sprintf("127.0.0.1:%d", port.Free(tb)), &http.Client{Timeout: 10 * time.Second})
	cmd, err := Command(tb.Context(), "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+i.address, "--log.level=warn")
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = tb.Output(), tb.Output()
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start Prometheus: %v", err)
	}
	tb.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended it
	i.Eventually(tb, func() error {
		var answer struct{}
		return i.get("/api/v1/status/runtimeinfo", nil, &answer)
	})
	return i
}

// patience bounds every wait for Prometheus.
const patience = 2 * time.Minute

// Eventually polls until check returns nil and fails the test with its last error when that takes too long.
func (i *Instance) Eventually(tb testing.TB, check func() error) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %v", patience, err)
		}
		select {
		case <-tb.Context().Done():
			tb.Fatal(err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Series is one result of a query.
type Series struct {
	Labels map[string]string
	Value  string
}

// Query evaluates an expression now.
func (i *Instance) Query(expr string) ([]Series, error) {
	var data struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
		} `json:"result"`
	}
	if err := i.get("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, err
	}
	var found []Series
	for _, r := range data.Result {
		found = append(found, Series{r.Metric, fmt.Sprint(r.Value[1])})
	}
	return found, nil
}

// Target is something that Prometheus scrapes.
type Target struct {
	Labels    map[string]string `json:"labels"`
	URL       string            `json:"scrapeUrl"`
	Health    string            `json:"health"`
	LastError string            `json:"lastError"`
}

// Targets returns what Prometheus scrapes.
func (i *Instance) Targets() ([]Target, error) {
	var data struct {
		Active []Target `json:"activeTargets"`
	}
	err := i.get("/api/v1/targets", nil, &data)
	return data.Active, err
}

// get asks Prometheus's API (https://prometheus.io/docs/prometheus/latest/querying/api/).
func (i *Instance) get(path string, query url.Values, into any) error {
	response, err := i.client.Get("http://" + i.address + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read Prometheus's answer to %s: %w", path, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("ask Prometheus for %s: %s: %s", path, response.Status, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

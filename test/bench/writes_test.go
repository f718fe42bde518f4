package bench

import (
	"maps"
	"testing"
)

func TestWritesAreCountedByVerbAndResource(t *testing.T) {
	const text = `# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 7
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 2
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="",verb="POST",version="v1"} 1e+03
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="",verb="GET",version="v1"} 50
`
	w, err := parseWrites(text)
	if err != nil {
		t.Fatal(err)
	}
	got := w.Since(Writes{"PATCH services/status": 4})
	if want := (Writes{"PATCH services/status": 5, "POST services": 1000}); !maps.Equal(got, want) {
		t.Errorf("writes are %v, want %v", got, want)
	}
	for first := range got.Sorted() {
		if first != "POST services" {
			t.Errorf("the most frequent is %s, want POST services", first)
		}
		break
	}
}

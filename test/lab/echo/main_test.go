package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGivenARequestWhenAnsweredThenHostNodeAndClientAreNamed(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.RemoteAddr = "192.0.2.7:4711"
	recorder := httptest.NewRecorder()
	answer("pod-1", "n2").ServeHTTP(recorder, request)
	want := "host=pod-1 node=n2 remote=192.0.2.7:4711 addresses="
	if got := recorder.Body.String(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\n") {
		t.Errorf("answer %q, want one line that begins with %q", got, want)
	}
}

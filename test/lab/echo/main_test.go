package main

import (
	"net"
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

func TestGivenADatagramWhenAnsweredThenItsSenderIsToldTheSame(t *testing.T) {
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serveUDP(server, "pod-1", "n2") }()
	client, err := (&net.Dialer{}).DialContext(t.Context(), "udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	n, err := client.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := "host=pod-1 node=n2 remote=" + client.LocalAddr().String() + " addresses="
	if got := string(buffer[:n]); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\n") {
		t.Errorf("answer %q, want one line that begins with %q", got, want)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the server ended without an error when its socket was closed")
	}
}

package reload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// maxConfig bounds the size of a configuration, in bytes; 100,000 prefixes take
// about 6 MB.
const maxConfig = 64 << 20

// Listen makes the unix socket on which Serve answers. A socket that a reloader
// left behind is taken over. Both containers of the pod run as root.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("take over socket %s: %w", path, err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close socket %s to others: %w", path, err), l.Close())
	}
	return l, nil
}

// HandOver keeps the socket open when Serve ends, for the process that this one becomes, and returns it. Who connects meanwhile waits.
func HandOver(l net.Listener) (*os.File, error) {
	socket, ok := l.(*net.UnixListener)
	if !ok {
		return nil, fmt.Errorf("hand over %s: it is no unix socket", l.Addr())
	}
	file, err := socket.File()
	if err != nil {
		return nil, fmt.Errorf("hand over socket %s: %w", l.Addr(), err)
	}
	socket.SetUnlinkOnClose(false)
	return file, nil
}

// TakeOver returns the socket that HandOver gave, by the number of its file. Another one than at path is refused.
func TakeOver(number uintptr, path string) (net.Listener, error) {
	file := os.NewFile(number, path)
	if file == nil {
		return nil, fmt.Errorf("take over socket %s: %d is no open file", path, number)
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take over socket %s: %w", path, err)
	}
	if l.Addr().Network() != "unix" || l.Addr().String() != path {
		return nil, errors.Join(fmt.Errorf("take over socket %s: it is %s", path, l.Addr()), l.Close())
	}
	return l, nil
}

// Serve answers on the listener until the context ends. It returns when all
// answers are given.
func (e *Engine) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           e.Handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		done <- server.Shutdown(graceful)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return <-done
}

// Handler answers the requests that package frr's Client makes.
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/config", e.putConfig)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, e.Status()) })
	mux.HandleFunc("GET /v1/show", e.getShow)
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		known, events := e.Follow(r.Context())
		stream(w, known, events)
	})
	mux.HandleFunc("GET /v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		known, events := e.FollowSessions(r.Context())
		stream(w, known, events)
	})
	return mux
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}

func (e *Engine) putConfig(w http.ResponseWriter, r *http.Request) {
	var conf bytes.Buffer
	conf.Grow(int(min(max(0, r.ContentLength), maxConfig)) + bytes.MinRead)
	if _, err := conf.ReadFrom(http.MaxBytesReader(w, r.Body, maxConfig)); err != nil {
		http.Error(w, "read the configuration: "+err.Error(), http.StatusBadRequest)
		return
	}
	ack, err := e.Apply(r.Context(), conf.Bytes())
	if refused, ok := errors.AsType[*frr.Refused](err); ok {
		answer(w, http.StatusUnprocessableEntity, refused.Refusal)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer(w, http.StatusOK, ack)
}

// getShow gives a show command to a daemon over a connection of its own, so a
// long output keeps no configuration waiting.
func (e *Engine) getShow(w http.ResponseWriter, r *http.Request) {
	daemon, command := r.FormValue("daemon"), r.FormValue("command")
	if !strings.HasPrefix(command, "show ") || strings.ContainsAny(command, "\x00\r\n|") {
		http.Error(w, fmt.Sprintf("command %q: only show commands are carried out", command), http.StatusBadRequest)
		return
	}
	if !slices.Contains(known, daemon) {
		http.Error(w, fmt.Sprintf("daemon %q: want one of %s", daemon, strings.Join(known, ", ")), http.StatusBadRequest)
		return
	}
	conn, err := vty.Dial(r.Context(), e.o.RunDir, daemon)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer conn.Close()
	out, err := conn.Run(r.Context(), command)
	if refused, ok := errors.AsType[*vty.Refused](err); ok {
		http.Error(w, refused.Error(), http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, out) // the client is gone: nobody to tell
}

// stream writes what is known and what follows, one JSON object per line. The header is sent at once, so a client knows from when on it misses
// nothing.
func stream[T any](w http.ResponseWriter, known []T, events <-chan T) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	for _, ev := range known {
		if enc.Encode(ev) != nil {
			return
		}
	}
	flush := http.NewResponseController(w)
	if err := flush.Flush(); err != nil {
		return
	}
	for ev := range events {
		if enc.Encode(ev) != nil || flush.Flush() != nil {
			return
		}
	}
}

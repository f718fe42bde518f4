package frr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
)

// ErrUnavailable means that the reloader could not be reached, or went away
// before it answered: what it runs goes on running; try again.
var ErrUnavailable = errors.New("reloader is not available")

// Refused is the error of Apply for a configuration that FRR does not accept.
// FRR goes on with the one before; sending the same again is of no use.
type Refused struct{ Refusal }

// Error gives FRR's own words and the line they are about.
func (r *Refused) Error() string {
	switch {
	case r.LineNumber > 0:
		return fmt.Sprintf("FRR refuses line %d %q: %s", r.LineNumber, r.Line, r.Words)
	case r.Line != "":
		return fmt.Sprintf("FRR refuses %q: %s", r.Line, r.Words)
	}
	return "FRR refuses the configuration: " + r.Words
}

// Client talks to the reloader. It may be used by several goroutines.
type Client struct {
	http *http.Client
}

// New returns a client of the reloader that listens on the unix socket. Nothing
// is connected yet, and the reloader may come and go.
func New(socketPath string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socketPath)
		},
	}
	return &Client{http: &http.Client{Transport: transport}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Apply makes FRR run the configuration and returns when it does. While FRR is
// not up it waits. A configuration that FRR does not accept gives *Refused; when
// the reloader is away the error wraps ErrUnavailable. Of several Applies at once
// the last wins, and the Ack of the others carries its hash.
func (c *Client) Apply(ctx context.Context, conf []byte) (Ack, error) {
	var ack Ack
	err := c.call(ctx, http.MethodPut, "/v1/config", bytes.NewReader(conf), &ack)
	if err != nil {
		return Ack{}, fmt.Errorf("apply FRR configuration: %w", err)
	}
	return ack, nil
}

// Status returns what the reloader knows of FRR.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	if err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
		return Status{}, fmt.Errorf("read the reloader's status: %w", err)
	}
	return s, nil
}

// Show gives a `show` command to a daemon ("bgpd") and returns what it printed.
func (c *Client) Show(ctx context.Context, daemon, command string) ([]byte, error) {
	query := url.Values{"daemon": {daemon}, "command": {command}}
	var out []byte
	if err := c.call(ctx, http.MethodGet, "/v1/show?"+query.Encode(), nil, &out); err != nil {
		return nil, fmt.Errorf("%s: %q: %w", daemon, command, err)
	}
	return out, nil
}

// Events yields what happens to FRR from now on until the context ends or the
// connection to the reloader does; the last value then carries the error. After
// an error something may have been missed, so treat it as an event too.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return follow[Event](ctx, c, "/v1/events")
}

// SessionEvents yields what happens to the BGP sessions, beginning with the last
// that did, as Events does. An event is a reason to look at the sessions:
// several may have happened by then.
func (c *Client) SessionEvents(ctx context.Context) iter.Seq2[SessionEvent, error] {
	return follow[SessionEvent](ctx, c, "/v1/sessions")
}

// follow yields the objects of a stream.
func follow[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(none, fmt.Errorf("follow FRR's events: %w", err))
			return
		}
		defer resp.Body.Close()
		dec := json.NewDecoder(resp.Body)
		for {
			var e T
			if err := dec.Decode(&e); err != nil {
				yield(none, fmt.Errorf("follow FRR's events: %w: %w", ErrUnavailable, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://reloader"+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode == http.StatusUnprocessableEntity {
		refused := &Refused{}
		if err := json.Unmarshal(text, &refused.Refusal); err != nil {
			return nil, fmt.Errorf("read the refusal: %w", err)
		}
		return nil, refused
	}
	err = fmt.Errorf("reloader answers %s: %s", resp.Status, bytes.TrimSpace(text))
	if resp.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, err
}

func (c *Client) call(ctx context.Context, method, path string, body io.Reader, into any) error {
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%w: read the answer: %w", ErrUnavailable, err)
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// Package asker is a client that never stops asking: it sends a request at a fixed pace and writes down what became of each. So a test can
// say how long an address was silent, to whom, and how many requests were lost.
package asker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say what is asked. Address and Dial are needed.
type Options struct {
	// Address is host and port of a server that answers each UDP datagram with one (test/lab/echo does).
	Address string
	// Dial opens connections, as Lab.Dialer of the machine that asks.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Every is the pace. Default 10 ms.
	Every time.Duration
	// Patience is how long an answer may take before the request counts as lost. Default 1 s.
	Patience time.Duration
}

// Answer is what became of one request.
type Answer struct {
	Sent time.Time
	// Took is the time from sending to the answer; of a lost request, until it was given up.
	Took time.Duration
	// Text is what the server said.
	Text string
	// Err is why there is no answer: the request was lost.
	Err error
}

// Lost says that nobody answered in time.
func (a Answer) Lost() bool { return a.Err != nil }

// From is the value that the answer gives to a name, as in "node=n1".
func (a Answer) From(name string) string {
	for word := range strings.FieldsSeq(a.Text) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}

// Asker asks until it is stopped.
type Asker struct {
	options  Options
	stop     context.CancelFunc
	stopped  chan struct{}
	requests sync.WaitGroup

	mu      sync.Mutex
	answers []Answer
}

// Start begins to ask. Each request is a datagram from a port of its own: a new flow, so that nothing on its way remembers where the one
// before went, and nothing is sent again that was lost. Requests do not wait for each other.
func Start(o Options) *Asker {
	if o.Every == 0 {
		o.Every = 10 * time.Millisecond
	}
	if o.Patience == 0 {
		o.Patience = time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &Asker{options: o, stop: stop, stopped: make(chan struct{})}
	go a.run(ctx)
	return a
}

func (a *Asker) run(ctx context.Context) {
	defer close(a.stopped)
	tick := time.NewTicker(a.options.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		a.requests.Go(func() {
			answer := a.ask(context.WithoutCancel(ctx)) // also of the last ones something becomes
			a.mu.Lock()
			defer a.mu.Unlock()
			a.answers = append(a.answers, answer)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	a.requests.Wait()
}

// ask sends one request and waits for what becomes of it.
func (a *Asker) ask(ctx context.Context) Answer {
	answer := Answer{Sent: time.Now()}
	answer.Text, answer.Err = a.exchange(ctx, answer.Sent.Add(a.options.Patience))
	answer.Took = time.Since(answer.Sent)
	return answer
}

func (a *Asker) exchange(ctx context.Context, until time.Time) (string, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	conn, err := a.options.Dial(ctx, "udp", a.options.Address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until); err != nil {
		return "", fmt.Errorf("ask %s: %w", a.options.Address, err)
	}
	if _, err := conn.Write([]byte("who are you?")); err != nil {
		return "", fmt.Errorf("ask %s: %w", a.options.Address, err)
	}
	buffer := make([]byte, 2048)
	n, err := conn.Read(buffer)
	if err != nil { // also an ICMP error (no port, no host): the request met nobody, as one does that is dropped on its way
		return "", fmt.Errorf("ask %s: %w", a.options.Address, err)
	}
	return strings.TrimSpace(string(buffer[:n])), nil
}

// Answers are those so far, in the order in which the requests were sent. Requests that still wait are missing.
func (a *Asker) Answers() Answers {
	a.mu.Lock()
	defer a.mu.Unlock()
	answers := slices.Clone(a.answers)
	slices.SortFunc(answers, func(x, y Answer) int { return x.Sent.Compare(y.Sent) })
	return answers
}

// Stop ends asking, waits for the last requests and returns all answers.
func (a *Asker) Stop() Answers {
	a.stop()
	<-a.stopped
	return a.Answers()
}

// Answers are what became of requests, in the order in which they were sent.
type Answers []Answer

// Since leaves those that were sent at that time or later.
func (all Answers) Since(t time.Time) Answers {
	i := slices.IndexFunc(all, func(a Answer) bool { return !a.Sent.Before(t) })
	if i < 0 {
		return nil
	}
	return all[i:]
}

// Lost counts requests without an answer.
func (all Answers) Lost() int {
	n := 0
	for _, a := range all {
		if a.Lost() {
			n++
		}
	}
	return n
}

// Silence is the longest time in which no answer came, from the first request to the end of the last one.
func (all Answers) Silence() time.Duration {
	if len(all) == 0 {
		return 0
	}
	last := all[0].Sent
	end := last
	var came []time.Time
	for _, a := range all {
		at := a.Sent.Add(a.Took)
		if at.After(end) {
			end = at
		}
		if !a.Lost() {
			came = append(came, at)
		}
	}
	slices.SortFunc(came, time.Time.Compare)
	var longest time.Duration
	for _, at := range append(came, end) {
		longest = max(longest, at.Sub(last))
		last = at
	}
	return longest
}

// String is one line for a report.
func (all Answers) String() string {
	return fmt.Sprintf("%d requests, %d lost, at most %s without an answer", len(all), all.Lost(), all.Silence().Round(time.Millisecond))
}

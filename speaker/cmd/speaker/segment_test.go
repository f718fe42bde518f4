package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/segment"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// asSpeaker in the environment makes the test binary the speaker: one that answers in the network of a node, and one that is killed, is a process
// of its own.
const asSpeaker = "SPEAKER_TEST_PROCESS"

// lan is an API server, and hosts on one Ethernet segment that are nodes, with a client beside them. No node has FRR or its reloader: layer 2 does
// not need them.
type lan struct {
	*world
	segment *segment.Segment
	client  *asker
	nodes   map[string]*segment.Host
	// api lasts as long as the nodes can reach the API server, and loseAPI ends it.
	api     context.Context
	loseAPI context.CancelFunc
}

// newLAN makes a segment with nodes of these names.
func newLAN(t *testing.T, names ...string) *lan {
	t.Helper()
	l := &lan{world: &world{TB: t}, segment: segment.New(t), nodes: map[string]*segment.Host{}}
	l.api, l.loseAPI = context.WithCancel(t.Context())
	t.Cleanup(l.loseAPI)
	l.server = apiserver.Run(t, apiserver.Options{})
	l.install()
	l.client = newAsker(t, l.segment.Host("192.0.2.100/24"))
	for i, name := range names {
		l.nodes[name] = l.segment.Host(fmt.Sprintf("192.0.2.%d/24", i+1))
		l.reachAPI(l.nodes[name])
		l.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
		l.pod(name, fmt.Sprintf("192.0.2.%d", i+1))
	}
	l.create(&v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.50-192.0.2.59"}}})
	l.create(&v1beta1.L2Advertisement{ObjectMeta: named("all")})
	return l
}

// pod creates the pod of a node's speaker, as a kubelet with the node's network leaves it.
func (l *lan) pod(node, address string) {
	l.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "speaker-" + node, Labels: map[string]string{"component": "speaker"}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "speaker", Image: "speaker"}}}}
	l.create(p)
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "speaker", Ready: true}}}
	if err := l.Status().Update(l.Context(), p); err != nil {
		l.Fatal(err)
	}
}

// reachAPI lets a host reach the API server, at the address that it has outside.
func (l *lan) reachAPI(h *segment.Host) {
	l.Helper()
	address := l.server.Config().Host[len("https://"):]
	var inside net.Listener
	h.Do(func() error {
		var err error
		inside, err = new(net.ListenConfig).Listen(l.Context(), "tcp", address)
		return err
	})
	var tasks sync.WaitGroup
	l.Cleanup(func() {
		l.loseAPI()
		tasks.Wait()
	})
	context.AfterFunc(l.api, func() { inside.Close() })
	tasks.Go(func() {
		for {
			from, err := inside.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() { relay(l.api, from, address) })
		}
	})
}

// relay carries a connection on to an address outside, until ctx ends or either side does.
func relay(ctx context.Context, from net.Conn, address string) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	defer context.AfterFunc(ctx, func() { from.Close(); to.Close() })()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to)
		from.Close()
	})
	_, _ = io.Copy(to, from)
	to.Close()
	back.Wait()
}

// process is a speaker in a process of its own, in the network of its node.
type process struct {
	*lan
	node  string
	cmd   *exec.Cmd
	log   *logFile
	ended chan struct{}
}

// logFile is what a process has written, which the test's output has as well.
type logFile struct {
	io.Writer
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (f *logFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = append(f.text, p...)
	return f.Writer.Write(p)
}

func (f *logFile) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.text)
}

// speaker starts the speaker of a node.
func (l *lan) speaker(node string, flags ...string) *process {
	l.Helper()
	kubeconfig := filepath.Join(l.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, l.server.Kubeconfig(), 0o600); err != nil {
		l.Fatal(err)
	}
	p := &process{lan: l, node: node, log: &logFile{Writer: l.Output()}, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(l.Context(), os.Args[0], append([]string{"--node-name=" + node, "--namespace=" + namespace, "--pod-name=speaker-" + node, "--port=0",
		"--reloader-socket=" + filepath.Join(l.TempDir(), "none"), "--ml-labels=component=speaker", "--ml-bindaddr=" + l.address(node)}, flags...)...)
	p.cmd.Env = append(os.Environ(), asSpeaker+"=1", "KUBECONFIG="+kubeconfig)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	l.nodes[node].Do(p.cmd.Start)
	go func() {
		_ = p.cmd.Wait() // how it ended is in its ProcessState
		close(p.ended)
	}()
	l.Cleanup(func() { p.signal(syscall.SIGKILL) })
	return p
}

// signal sends a signal that ends the process, waits until it has ended, and returns how long that took.
func (p *process) signal(s os.Signal) time.Duration {
	p.Helper()
	start := time.Now()
	_ = p.cmd.Process.Signal(s) // it may have ended
	<-p.ended
	return time.Since(start)
}

// probe asks the process for its health.
func (p *process) probe(path string) (int, string, error) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), http.MethodGet, "http://127.0.0.1:17472"+path, nil)
	if err != nil {
		p.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DialContext: netns.Dialer(p.nodes[p.node].Namespace), DisableKeepAlives: true}}
	response, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// awaitReady waits until the process is ready, so that the others have met it.
func (p *process) awaitReady() {
	p.Helper()
	frrtest.Eventually(p, frrtest.Patience, func() error {
		code, body, err := p.probe("/readyz")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("the speaker of %s is not ready: %d %s", p.node, code, body)
		}
		return err
	})
}

// address is the node's own.
func (l *lan) address(node string) string {
	l.Helper()
	for i := 1; ; i++ {
		if l.nodes["node"+strconv.Itoa(i)] == l.nodes[node] {
			return fmt.Sprintf("192.0.2.%d", i)
		}
	}
}

// owner returns the node that has the hardware address.
func (l *lan) owner(mac wire.MAC) string {
	l.Helper()
	for name, h := range l.nodes {
		if wire.MAC(h.Get("eth0").Attrs().HardwareAddr) == mac {
			return name
		}
	}
	return mac.String()
}

// asker is a host that asks for addresses and remembers who says that he has them.
type asker struct {
	testing.TB
	arp   *arp.Client
	mu    sync.Mutex
	heard []claim
}

// claim is that somebody said that he has an address.
type claim struct {
	at      time.Time
	address netip.Addr
	mac     wire.MAC
}

func newAsker(tb testing.TB, h *segment.Host) *asker {
	tb.Helper()
	a := &asker{TB: tb}
	h.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		a.arp, err = arp.Dial(link)
		return err
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.listen()
	}()
	tb.Cleanup(func() {
		a.arp.Close()
		<-ended
	})
	return a
}

func (a *asker) listen() {
	for {
		p, _, err := a.arp.Read()
		if err != nil {
			return
		}
		if mac := wire.MAC(p.SenderHardwareAddr); mac != wire.MAC(a.arp.HardwareAddr()) {
			a.mu.Lock()
			a.heard = append(a.heard, claim{time.Now(), p.SenderIP, mac})
			a.mu.Unlock()
		}
	}
}

// claims returns who has said that he has an address since a time.
func (a *asker) claims(address netip.Addr, since time.Time) []claim {
	a.mu.Lock()
	defer a.mu.Unlock()
	var those []claim
	for _, c := range a.heard {
		if c.address == address && c.at.After(since) {
			those = append(those, c)
		}
	}
	return those
}

// ask asks for an address every 10 ms until somebody answers that is not among those, and returns the claim.
func (a *asker) ask(address netip.Addr, limit time.Duration, but ...wire.MAC) (claim, error) {
	a.Helper()
	start := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := a.arp.Request(address); err != nil {
			a.Fatal(err)
		}
		<-tick.C
		for _, c := range a.claims(address, start) {
			if len(but) == 0 || c.mac != but[0] {
				return c, nil
			}
		}
		if time.Since(start) > limit {
			return claim{}, fmt.Errorf("nobody else than %v has said within %v that he has %s", but, limit, address)
		}
	}
}

// mustAsk is ask where somebody has to answer.
func (a *asker) mustAsk(address netip.Addr, but ...wire.MAC) claim {
	a.Helper()
	c, err := a.ask(address, frrtest.Patience, but...)
	if err != nil {
		a.Fatal(err)
	}
	return c
}

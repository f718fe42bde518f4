package members_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// asMember in the environment makes the test binary a member with these settings instead: members that are killed, and members in network
// namespaces, are processes of their own.
const asMember = "MEMBERS_TEST_PROCESS"

// patience is longer than anything takes on a busy machine.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if settings := os.Getenv(asMember); settings != "" {
		if err := beMember(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// settings are what a member process is started with.
type settings struct {
	Name       string
	BindAddr   netip.Addr
	BindPort   int
	SecretPath string
	Grace      time.Duration
	TuningPath string
	Links      []string
	Fencing    members.Fencing
	Peers      []members.Peer
	// WitnessPath is a JSON file with what the witness says, "" for no witness.
	WitnessPath string
}

func (s settings) options(log *slog.Logger) members.Options {
	o := members.Options{Name: s.Name, BindAddr: s.BindAddr, BindPort: s.BindPort, SecretPath: s.SecretPath, Grace: s.Grace, TuningPath: s.TuningPath,
		Links: s.Links, Fencing: s.Fencing, Log: log}
	if s.WitnessPath != "" {
		o.Witness = func(context.Context, []string) (map[string]string, error) {
			text, err := os.ReadFile(s.WitnessPath)
			if err != nil {
				return nil, err
			}
			var marks map[string]string
			return marks, json.Unmarshal(text, &marks)
		}
	}
	return o
}

// view is a snapshot as a member process prints it.
type view struct {
	members.Snapshot
	// At is when it was printed, in nanoseconds of the machine's clock.
	At int64
}

func (v view) names() string {
	var names []string
	for _, m := range v.Alive {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// beMember prints each snapshot, and does as it reads: "links a,b", "leave".
func beMember(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	log, err := logging.New(os.Stderr, "warn")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := members.Start(ctx, s.options(log))
	if err != nil {
		return err
	}
	if s.Peers != nil {
		m.SetPeers(s.Peers)
	}
	orders := make(chan string)
	go func() {
		defer close(orders)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			orders <- in.Text()
		}
	}()
	out := json.NewEncoder(os.Stdout)
	for {
		select {
		case <-m.Changed():
			if err := out.Encode(view{m.Snapshot(), time.Now().UnixNano()}); err != nil {
				return err
			}
		case order, more := <-orders:
			word, rest, _ := strings.Cut(order, " ")
			switch {
			case !more:
				return nil
			case word == "links":
				m.SetLinks(strings.Split(rest, ","))
			case word == "leave":
				return m.Leave(ctx)
			}
		}
	}
}

// process is a member in a process of its own.
type process struct {
	testing.TB
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	// views are all that was printed; news has room for one and says that there is another.
	views []view
	news  chan struct{}
}

// start starts a member in a namespace, "" for that of the test.
func start(tb testing.TB, namespace string, s settings) *process {
	tb.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{TB: tb, name: s.Name, news: make(chan struct{}, 1)}
	p.cmd = exec.CommandContext(tb.Context(), os.Args[0])
	p.cmd.Env = append(os.Environ(), asMember+"="+string(text), "GOMAXPROCS=2")
	p.cmd.Stderr = tb.Output()
	if os.Getenv("MEMBERS_TEST_QUIET") != "" {
		p.cmd.Stderr = nil
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	run := p.cmd.Start
	if namespace != "" {
		run = func() error { return netns.Do(namespace, p.cmd.Start) }
	}
	if err := run(); err != nil {
		tb.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(out)
	}()
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-read
		_ = p.cmd.Wait()
	})
	return p
}

func (p *process) read(out io.Reader) {
	decoder := json.NewDecoder(out)
	for {
		var v view
		if decoder.Decode(&v) != nil {
			return // the process has ended
		}
		p.mu.Lock()
		p.views = append(p.views, v)
		p.mu.Unlock()
		select {
		case p.news <- struct{}{}:
		default:
		}
	}
}

func (p *process) seen() []view {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.views)
}

// await waits until the last view is as wanted, and returns it.
func (p *process) await(what string, wanted func(view) bool) view {
	p.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		views := p.seen()
		if len(views) > 0 && wanted(views[len(views)-1]) {
			return views[len(views)-1]
		}
		select {
		case <-p.news:
		case <-limit.C:
			p.Fatalf("%s does not see %s; it sees %+v", p.name, what, views[max(0, len(views)-3):])
		}
	}
}

// awaitNames waits until exactly these members are seen alive and addresses may be claimed, or not.
func (p *process) awaitNames(names string, quorate bool) view {
	p.Helper()
	return p.await(fmt.Sprintf("%q, quorate %t", names, quorate), func(v view) bool { return v.names() == names && v.Quorate == quorate })
}

func (p *process) order(text string) {
	p.Helper()
	if _, err := io.WriteString(p.in, text+"\n"); err != nil {
		p.Fatal(err)
	}
}

// cluster is members in hosts on one segment.
type cluster struct {
	*segment.Segment
	hosts map[string]*segment.Host
	peers []members.Peer
	procs map[string]*process
	names []string
}

// newCluster starts n members and waits until each sees all.
func newCluster(tb testing.TB, n int, change func(*settings)) *cluster {
	tb.Helper()
	c := &cluster{Segment: segment.New(tb), hosts: map[string]*segment.Host{}, procs: map[string]*process{}}
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		c.hosts[name] = c.Host(addr.String() + "/24")
		c.peers = append(c.peers, members.Peer{Name: name, Addr: addr})
		c.names = append(c.names, name)
	}
	for _, p := range c.peers {
		c.launch(tb, p, change)
	}
	for _, p := range c.procs {
		p.awaitNames(strings.Join(c.names, " "), true)
	}
	c.awaitLines()
	return c
}

// awaitLines waits until each member has a connection to each other one and has read who answers there: what the kernel says of a connection that
// ends sooner is no proof of a death.
func (c *cluster) awaitLines() {
	for _, p := range c.procs {
		p.Helper()
		limit := time.Now().Add(patience)
		for missing := 1; missing > 0; time.Sleep(time.Millisecond) {
			missing = 0
			for _, peer := range c.peers {
				if peer.Name != p.name && !c.hasLine(p.name, peer) {
					missing++
				}
			}
			if time.Now().After(limit) {
				p.Fatalf("%s has no connection to %d members", p.name, missing)
			}
		}
	}
}

// hasLine tells whether a member has a connection to another one over which it has read a greeting: a word, a length and the name.
func (c *cluster) hasLine(from string, to members.Peer) bool {
	found := false
	c.hosts[from].Do(func() error {
		sockets, err := netlink.SocketDiagTCPInfo(unix.AF_INET)
		found = slices.ContainsFunc(sockets, func(s *netlink.InetDiagTCPInfoResp) bool {
			socket := s.InetDiagMsg
			return socket.State == netlink.TCP_ESTABLISHED && socket.RQueue == 0 && socket.ID.DestinationPort == 7946 &&
				socket.ID.Destination.Equal(to.Addr.AsSlice()) && s.TCPInfo != nil && s.TCPInfo.Bytes_received == uint64(2+len(to.Name))
		})
		return err
	})
	return found
}

func (c *cluster) launch(tb testing.TB, p members.Peer, change func(*settings)) {
	tb.Helper()
	s := settings{Name: p.Name, BindAddr: p.Addr, BindPort: 7946, Links: []string{"eth0"}, Peers: c.peers}
	if change != nil {
		change(&s)
	}
	c.procs[p.Name] = start(tb, c.hosts[p.Name].Namespace, s)
}

// cut drops everything between two hosts, until the returned function is called.
func (c *cluster) cut(a, b string) (mend func()) {
	drop := func(host, other string) func() {
		h := c.hosts[host]
		h.Helper()
		i := slices.IndexFunc(c.peers, func(p members.Peer) bool { return p.Name == other })
		to := c.peers[i].Addr.AsSlice()
		route := &netlink.Route{Dst: &net.IPNet{IP: to, Mask: net.CIDRMask(32, 32)}, Type: unix.RTN_BLACKHOLE}
		if err := h.RouteAdd(route); err != nil {
			h.Fatal(err)
		}
		return func() {
			if err := h.RouteDel(route); err != nil {
				h.Fatal(err)
			}
		}
	}
	first, second := drop(a, b), drop(b, a)
	return func() { first(); second() }
}

// without are all names but one.
func (c *cluster) without(name string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(c.names), func(n string) bool { return n == name }), " ")
}

// others are the processes of all but one.
func (c *cluster) others(name string) (list []*process) {
	for _, n := range c.names {
		if n != name {
			list = append(list, c.procs[n])
		}
	}
	return list
}

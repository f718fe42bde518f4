package reload_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/reload"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// node is an FRR under test with a reloader, and a client of it over its socket.
type node struct {
	*frrtest.Instance
	client *frr.Client
	stop   func()
}

// startNode runs FRR as a speaker's pod has it. Tests run side by side: every
// instance has namespaces of its own, and most of the time is waiting.
func startNode(tb testing.TB, release frrtest.Release) *node {
	tb.Helper()
	return startNodeWith(tb, frrtest.Options{Release: release, Name: "n1"})
}

func startNodeWith(tb testing.TB, o frrtest.Options) *node {
	tb.Helper()
	n := &node{Instance: frrtest.Start(tb, o)}
	n.startReloader(tb, time.Hour)
	return n
}

// startReloader runs an engine and its server until stop is called.
func (n *node) startReloader(tb testing.TB, drift time.Duration) {
	tb.Helper()
	engine := reload.New(reload.Options{
		RunDir:        n.Path("/run/frr"),
		ConfigFile:    n.Path("/etc/frr/frr.conf"),
		Owner:         100,
		Group:         101,
		DriftInterval: drift,
		Log:           slog.New(slog.NewTextHandler(tb.Output(), nil)),
		Loader: &reload.Scripts{
			Enter:     n.Enter(),
			Inner:     func(file string) string { return strings.TrimPrefix(file, n.Path("")) },
			Vtysh:     "/usr/bin/vtysh",
			FRRReload: "/usr/lib/frr/frr-reload.py",
		},
	})
	socket := filepath.Join(tb.TempDir(), "reloader.sock")
	ctx, cancel := context.WithCancel(tb.Context())
	listener, err := reload.Listen(ctx, socket)
	if err != nil {
		cancel()
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	running.Go(func() {
		if err := engine.Serve(ctx, listener); err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	n.client = frr.New(socket)
	n.stop = sync.OnceFunc(func() {
		cancel()
		n.client.Close()
		running.Wait()
	})
	tb.Cleanup(n.stop)
}

func (n *node) apply(tb testing.TB, conf string) frr.Ack {
	tb.Helper()
	ack, err := n.client.Apply(tb.Context(), []byte(conf))
	if err != nil {
		tb.Fatalf("apply: %v\n%s", err, conf)
	}
	if ack.Hash != reload.Hash([]byte(conf)) {
		tb.Fatalf("acknowledged %s, sent %s", ack.Hash, reload.Hash([]byte(conf)))
	}
	return ack
}

// advertisement is what one BGPAdvertisement asks of every neighbor.
type advertisement struct {
	tag         int
	communities string
	localPref   int
}

// speaker writes configurations of the form that the renderer gives.
type speaker struct {
	neighbors []string          // address, AS 64513; bfd profile after a slash
	ads       []advertisement   // every one for every neighbor
	prefixes  map[string][]int  // prefix → tags; none: announced to nobody
	profiles  map[string]string // name → receive interval
	extra     string
}

func (s speaker) conf() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("! one node")
	p("frr defaults traditional\nhostname n1\nlog stdout informational\nlog timestamp precision 3")
	p("service integrated-vtysh-config\nip nht resolve-via-default\nipv6 nht resolve-via-default")
	sets := map[string][]int{}
	for _, tags := range s.prefixes {
		if len(tags) > 0 {
			sets[setName(tags)] = tags
		}
	}
	for _, ad := range s.ads {
		p("bgp large-community-list standard ml-tags permit 4294967295:0:%d", ad.tag)
		p("bgp large-community-list standard ml-tag-%d permit 4294967295:0:%d", ad.tag, ad.tag)
	}
	p("bgp large-community-list expanded ml-any permit ^4294967295:")
	for _, name := range sortedKeys(sets) {
		p("route-map %s permit 10", name)
		p(" set large-community %s additive\nexit", communities(sets[name]))
	}
	for _, neighbor := range s.neighbors {
		name, _, _ := strings.Cut(neighbor, "/")
		for i, ad := range s.ads {
			p("route-map ml-out-%s permit %d\n match large-community ml-tag-%d", name, 10*(i+1), ad.tag)
			if ad.communities != "" {
				p(" set community %s additive", ad.communities)
			}
			if ad.localPref > 0 {
				p(" set local-preference %d", ad.localPref)
			}
			p(" on-match next\nexit")
		}
		p("route-map ml-out-%s permit 10000\n match large-community ml-any\n set large-comm-list ml-tags delete\nexit", name)
		p("route-map ml-in-%s deny 20\nexit", name)
	}
	p("router bgp 64512\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast")
	p(" no bgp network import-check\n no bgp suppress-duplicates\n bgp graceful-restart preserve-fw-state")
	for _, neighbor := range s.neighbors {
		name, profile, bfd := strings.Cut(neighbor, "/")
		p(" neighbor %s remote-as 64513\n neighbor %s port 179\n neighbor %s timers 3 9\n neighbor %s timers connect 1", name, name, name, name)
		p(" neighbor %s advertisement-interval 0", name)
		if bfd {
			p(" neighbor %s bfd profile %s", name, profile)
		}
	}
	for _, v6 := range []bool{false, true} {
		p(" address-family ipv%d unicast", map[bool]int{false: 4, true: 6}[v6])
		for _, neighbor := range s.neighbors {
			name, _, _ := strings.Cut(neighbor, "/")
			if netip.MustParseAddr(name).Is6() == v6 {
				p("  neighbor %s activate\n  neighbor %s route-map ml-in-%s in\n  neighbor %s route-map ml-out-%s out", name, name, name, name, name)
			}
		}
		// In the order of addresses, as the speaker writes them and bgpd shows them.
		for _, prefix := range slices.SortedFunc(maps.Keys(s.prefixes), func(a, b string) int {
			return netip.MustParsePrefix(a).Compare(netip.MustParsePrefix(b))
		}) {
			if netip.MustParsePrefix(prefix).Addr().Is6() != v6 {
				continue
			}
			if tags := s.prefixes[prefix]; len(tags) > 0 {
				p("  network %s route-map %s", prefix, setName(tags))
			} else {
				p("  network %s", prefix)
			}
		}
		p(" exit-address-family")
	}
	p("exit")
	if len(s.profiles) > 0 {
		p("bfd")
		for _, name := range sortedKeys(s.profiles) {
			p(" profile %s\n  receive-interval %s\n exit", name, s.profiles[name])
		}
		p("exit")
	}
	return b.String() + s.extra
}

func setName(tags []int) string { return "ml-set" + strings.ReplaceAll(fmt.Sprint(tags), " ", "-") }

func communities(tags []int) string {
	var out []string
	for _, tag := range tags {
		out = append(out, fmt.Sprintf("4294967295:0:%d", tag))
	}
	return strings.Join(out, " ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

const routerConf = `hostname tor
router bgp 64513
 bgp router-id 10.0.0.100
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 192.0.2.1 remote-as 64512
 neighbor 192.0.2.1 timers connect 1
 neighbor 192.0.2.1 passive
 neighbor 2001:db8::1 remote-as 64512
 neighbor 2001:db8::1 timers connect 1
 neighbor 2001:db8::1 passive
 address-family ipv4 unicast
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.1 soft-reconfiguration inbound
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8::1 activate
 exit-address-family
exit
`

// startRouter runs the peer of a node and joins the two.
func startRouter(tb testing.TB, n *node) *frrtest.Instance {
	tb.Helper()
	r := frrtest.Start(tb, frrtest.Options{Release: n.Release, Name: "tor", Config: routerConf, Listen: true})
	frrtest.Link(tb, n.Instance, r, "eth0", []string{"192.0.2.1/24", "2001:db8::1/64"}, []string{"192.0.2.100/24", "2001:db8::100/64"})
	return r
}

func hashOf(conf string) string { return reload.Hash([]byte(conf)) }

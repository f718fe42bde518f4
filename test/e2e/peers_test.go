package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/bird"
	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// routerKind is a router of one kind, with sessions to every node that has any, over IPv4 and over IPv6.
type routerKind struct {
	name string
	host int
	asn  uint32
	// four and six are what the BGPPeers of the two sessions say besides.
	four, six string
	// bfd says which of the two have BFD.
	bfd [2]bool
	// holds are the paths that the router has to a prefix, by the address of the node that sent it.
	holds func(ctx context.Context, g Gomega, prefix netip.Prefix) map[netip.Addr]attributes
}

// attributes are those of a path. LocalPref is 0 where the session is external and says nothing of it.
type attributes struct {
	ASPath                        []uint32
	Communities, LargeCommunities []string
	LocalPref, MED                uint32
}

const kindsPassword = "shared-by-all"

// patient is BFD that a machine with two processors and much to do can keep up with; 6 s are well below the hold time of 30 s.
const patient = `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: patient, namespace: metallb-system}
spec: {receiveInterval: 300, transmitInterval: 300, detectMultiplier: 20}
`

func (k *routerKind) addresses() [2]netip.Addr {
	a := lab.SegmentAddresses(k.host)
	return [2]netip.Addr{a.IPv4, a.IPv6}
}

// peers are the BGPPeers for the router.
func (k *routerKind) peers() string {
	var all []string
	for i, more := range []string{k.four, k.six} {
		if k.bfd[i] {
			more += ", bfdProfile: patient"
		}
		all = append(all, fmt.Sprintf(`
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: %s-ipv%d, namespace: metallb-system}
spec: {myASN: 64512, peerASN: %d, peerAddress: "%s", password: %s, holdTime: 30s, keepaliveTime: 10s, connectTime: 1s, enableGracefulRestart: true,
  nodeSelectors: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n1, n2]}]}]%s}
`, k.name, 4+2*i, k.asn, k.addresses()[i], kindsPassword, more))
	}
	return documents(all...)
}

// addFRR adds a router that runs FRR, in the nodes' AS. It runs BFD for IPv4.
func addFRR(ctx context.Context) *routerKind {
	GinkgoHelper()
	k := &routerKind{name: "frr", host: 241, asn: 64512, bfd: [2]bool{true, false}}
	neighbors := lab.NodeNeighbors(nodes, 64512)
	more := []string{"bfd", "profile patient", "detect-multiplier 20", "transmit-interval 300", "receive-interval 300", "exit", "exit", "router bgp 64512"}
	for i := range neighbors {
		neighbors[i].Password = kindsPassword
		if neighbors[i].Address.Is4() {
			more = append(more, fmt.Sprintf("neighbor %s bfd profile patient", neighbors[i].Address))
		}
	}
	Expect(cluster.AddRouter(ctx, lab.Router{Name: k.name, Host: k.host, Config: lab.RouterConfig(k.asn, k.addresses()[0], neighbors...) + strings.Join(more, "\n") + "\n"})).To(Succeed())
	k.holds = func(ctx context.Context, g Gomega, prefix netip.Prefix) map[netip.Addr]attributes {
		family := map[bool]string{true: "ipv4", false: "ipv6"}[prefix.Addr().Is4()]
		text, err := cluster.Vtysh(ctx, k.name, fmt.Sprintf("show bgp %s unicast %s json", family, prefix))
		g.Expect(err).NotTo(HaveOccurred())
		var entry struct {
			Paths []struct {
				ASPath                    struct{ Segments []struct{ List []uint32 } }
				Community, LargeCommunity struct{ List []string }
				LocPrf, Metric            uint32
				Peer                      struct{ PeerID netip.Addr }
			}
		}
		g.Expect(json.Unmarshal([]byte(text), &entry)).To(Succeed(), text)
		found := map[netip.Addr]attributes{}
		for _, p := range entry.Paths {
			a := attributes{Communities: sorted(p.Community.List), LargeCommunities: sorted(p.LargeCommunity.List), LocalPref: p.LocPrf, MED: p.Metric}
			for _, s := range p.ASPath.Segments {
				a.ASPath = append(a.ASPath, s.List...)
			}
			found[p.Peer.PeerID] = a
		}
		return found
	}
	return k
}

// addGoBGP adds a GoBGP router in an AS of its own.
func addGoBGP(ctx context.Context) *routerKind {
	GinkgoHelper()
	k := &routerKind{name: "gobgp", host: 242, asn: 64515}
	var neighbors []gobgp.Neighbor
	for _, n := range lab.NodeNeighbors(nodes, 64512) {
		neighbors = append(neighbors, gobgp.Neighbor{Address: n.Address, ASN: n.ASN, Password: kindsPassword, Passive: true, GracefulRestart: true})
	}
	peer, err := cluster.AddGoBGP(ctx, lab.GoBGP{Name: k.name, Host: k.host, ASN: k.asn, Neighbors: neighbors})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(peer.Close)
	k.holds = func(ctx context.Context, g Gomega, prefix netip.Prefix) map[netip.Addr]attributes {
		paths, err := peer.Paths(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		found := map[netip.Addr]attributes{}
		for _, p := range paths {
			if p.Prefix != prefix {
				continue
			}
			a := attributes{ASPath: p.ASPath, Communities: p.Communities, LargeCommunities: p.LargeCommunities}
			if p.MED != nil {
				a.MED = *p.MED
			}
			if p.LocalPref != nil {
				a.LocalPref = *p.LocalPref
			}
			found[p.Neighbor] = a
		}
		return found
	}
	return k
}

// addBIRD adds a BIRD router in an AS of its own. Its sessions over IPv4 run single-hop BFD, those over IPv6 may be several hops long and run
// multi-hop BFD.
func addBIRD(ctx context.Context) *routerKind {
	GinkgoHelper()
	k := &routerKind{name: "bird", host: 243, asn: 64516, bfd: [2]bool{true, true}, six: ", ebgpMultiHop: true"}
	config := bird.Config{Neighbors: lab.NodeBIRDNeighbors(nodes, k.host, k.asn, 64512), BFDInterval: 300, BFDMultiplier: 20}
	senders := map[string]netip.Addr{}
	for i := range config.Neighbors {
		n := &config.Neighbors[i]
		n.Password, n.BFD, n.Multihop = kindsPassword, true, n.Address.Is6()
		senders[n.Name] = n.Address
	}
	Expect(cluster.AddBIRD(ctx, lab.BIRD{Name: k.name, Host: k.host, Config: config})).To(Succeed())
	k.holds = func(ctx context.Context, g Gomega, prefix netip.Prefix) map[netip.Addr]attributes {
		routes, err := cluster.BIRDRoutes(ctx, k.name)
		g.Expect(err).NotTo(HaveOccurred())
		found := map[netip.Addr]attributes{}
		for _, r := range routes {
			if r.Prefix != prefix {
				continue
			}
			a := attributes{ASPath: r.ASPath, Communities: r.Communities, LargeCommunities: r.LargeCommunities}
			if r.MED != nil {
				a.MED = *r.MED
			}
			found[senders[r.Neighbor]] = a
		}
		return found
	}
	return k
}

func sorted(all []string) []string {
	slices.Sort(all)
	return all
}

// sessionStates are the BGPSessionStates by node and router's address, "n1 192.168.126.241".
func sessionStates(ctx context.Context, g Gomega) map[string]v1beta1.BGPSessionStateStatus {
	var list v1beta1.BGPSessionStateList
	g.Expect(cluster.Client.List(ctx, &list, client.InNamespace(product.Namespace))).To(Succeed())
	found := map[string]v1beta1.BGPSessionStateStatus{}
	for _, o := range list.Items {
		found[o.Status.Node+" "+o.Status.Peer] = o.Status
	}
	return found
}

var _ = Describe("Routers of every kind", Ordered, func() {
	// The addresses of the two families that the Service has.
	addresses := [2]string{"203.0.113.192", "2001:db8:c0::"}
	everywhere := service("everywhere", "everywhere", ", ipFamilyPolicy: RequireDualStack")
	var kinds []*routerKind

	// sameNodes are the addresses of one family of the nodes that have sessions.
	sameNodes := func(family int) []netip.Addr {
		var all []netip.Addr
		for i := range nodes {
			a := lab.NodeAddresses(i + 1)
			all = append(all, [2]netip.Addr{a.IPv4, a.IPv6}[family])
		}
		return all
	}

	BeforeAll(func(ctx SpecContext) {
		kinds = []*routerKind{addFRR(ctx), addGoBGP(ctx), addBIRD(ctx)}
		apply(ctx, documents(patient, kinds[0].peers(), kinds[1].peers(), kinds[2].peers(), web("n1"), web("n2"),
			pool("everywhere", "203.0.113.192/28", "2001:db8:c0::/124"),
			advertisement("everywhere", "everywhere", `, communities: ["64512:100", "large:64512:1:2"], localPref: 300, med: 50, asPathPrepend: 1`)))
	}, NodeTimeout(5*time.Minute))

	It("are told of as established, with the timers that both ends agreed on and what BFD sees", func(ctx SpecContext) {
		Eventually(func(g Gomega) {
			states := sessionStates(ctx, g)
			for _, k := range kinds {
				for family, address := range k.addresses() {
					for i := range nodes {
						key := lab.NodeName(i+1) + " " + address.String()
						g.Expect(states).To(HaveKey(key))
						s := states[key]
						g.Expect(s.BGPStatus).To(Equal("Established"), "%s: %+v", key, s.Diagnosis)
						g.Expect(s.BGPPeer).To(Equal(fmt.Sprintf("%s-ipv%d", k.name, 4+2*family)), key)
						g.Expect(s.Timers).To(HaveValue(Equal(v1beta1.BGPTimers{HoldTimeSeconds: 30, KeepaliveSeconds: 10})), key)
						g.Expect(s.BFDStatus).To(Equal(map[bool]string{true: "up", false: "N/A"}[k.bfd[family]]), key)
					}
				}
			}
		}).WithTimeout(2 * time.Minute).WithPolling(500 * time.Millisecond).Should(Succeed())
	})

	It("get a Service over both families, each with the attributes it is to have", func(ctx SpecContext) {
		apply(ctx, everywhere)
		Expect(addressesOf(ctx, "everywhere", 2)).To(ConsistOf(addresses[0], addresses[1]))
		want := attributes{Communities: []string{"64512:100"}, LargeCommunities: []string{"64512:1:2"}, MED: 50}
		for _, k := range kinds {
			want := want
			if k.asn == 64512 {
				want.LocalPref = 300 // and no AS in front: within one it would be a loop
			} else {
				want.ASPath = []uint32{64512, 64512}
			}
			for family, address := range addresses {
				all := map[netip.Addr]attributes{}
				for _, node := range sameNodes(family) {
					all[node] = want
				}
				Eventually(func(g Gomega) { g.Expect(k.holds(ctx, g, host(address))).To(Equal(all)) }).Should(Succeed(), "%s, %s", k.name, address)
			}
		}
		By("deleting the Service")
		Expect(cluster.Delete(ctx, everywhere)).To(Succeed())
		for _, k := range kinds {
			for _, address := range addresses {
				Eventually(func(g Gomega) { g.Expect(k.holds(ctx, g, host(address))).To(BeEmpty()) }).Should(Succeed(), "%s, %s", k.name, address)
			}
		}
	})

	It("keep what they have while a bgpd restarts that said it would come back", func(ctx SpecContext) {
		apply(ctx, everywhere)
		type held struct {
			kind    *routerKind
			family  int
			session string
		}
		// Where there is BFD, it ends the session: bfdd has nobody left who wants it to look.
		var all []held
		for _, k := range kinds {
			for family := range addresses {
				if !k.bfd[family] {
					all = append(all, held{k, family, "n1 " + k.addresses()[family].String()})
				}
				Eventually(func(g Gomega) {
					g.Expect(k.holds(ctx, g, host(addresses[family]))).To(HaveLen(nodes))
				}).Should(Succeed(), "%s, %s", k.name, addresses[family])
			}
		}
		Expect(all).To(HaveLen(3))
		before := sessionStates(ctx, Default)
		_, err := cluster.Exec(ctx, "n1", "pkill", "-KILL", "-x", "bgpd")
		Expect(err).NotTo(HaveOccurred())
		var lost []string
		Eventually(func(g Gomega) {
			for _, h := range all {
				if have := h.kind.holds(ctx, Default, host(addresses[h.family])); len(have) < nodes {
					lost = append(lost, fmt.Sprint(h.kind.name, " ", addresses[h.family], ": ", have))
				}
			}
			states := sessionStates(ctx, g)
			for _, h := range all {
				s := states[h.session]
				g.Expect(s.BGPStatus).To(Equal("Established"), h.session)
				g.Expect(s.EstablishedAt.Time).To(BeTemporally(">", before[h.session].EstablishedAt.Time), h.session)
			}
		}).WithTimeout(90 * time.Second).Should(Succeed())
		Expect(lost).To(BeEmpty(), strings.Join(lost, "\n"))
		for _, k := range kinds { // those with BFD, too
			for _, address := range addresses {
				Eventually(func(g Gomega) {
					g.Expect(k.holds(ctx, g, host(address))).To(HaveLen(nodes))
				}).WithTimeout(90*time.Second).Should(Succeed(), "%s, %s", k.name, address)
			}
		}
	}, SpecTimeout(6*time.Minute))
})

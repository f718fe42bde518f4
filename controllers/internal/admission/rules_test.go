package admission_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// row is one edit of a configuration, and what becomes of it. Objects made in the same second count as older in the order of their names.
type row struct {
	given []client.Object
	// Exactly one of create, change and remove is set. A change is applied to the first of given, as remove removes it.
	create client.Object
	change func(client.Object)
	remove bool
	// refused are texts of the refusal; nil means that the edit is admitted, with warnings that have the texts of warned and, if there are
	// none, without any.
	refused, warned []string
}

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: lab} }

func pool(name string, addresses ...string) *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{ObjectMeta: meta(name), Spec: v1beta1.IPAddressPoolSpec{Addresses: addresses}}
}

func peer(name string, edits ...func(*v1beta2.BGPPeerSpec)) *v1beta2.BGPPeer {
	p := &v1beta2.BGPPeer{ObjectMeta: meta(name), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "10.0.0.1"}}
	for _, edit := range edits {
		edit(&p.Spec)
	}
	return p
}

func bgp(name string, edits ...func(*v1beta1.BGPAdvertisementSpec)) *v1beta1.BGPAdvertisement {
	a := &v1beta1.BGPAdvertisement{ObjectMeta: meta(name)}
	for _, edit := range edits {
		edit(&a.Spec)
	}
	return a
}

func l2(name string, spec v1beta1.L2AdvertisementSpec) *v1beta1.L2Advertisement {
	return &v1beta1.L2Advertisement{ObjectMeta: meta(name), Spec: spec}
}

func profile(name string, edits ...func(*v1beta1.BFDProfileSpec)) *v1beta1.BFDProfile {
	p := &v1beta1.BFDProfile{ObjectMeta: meta(name)}
	for _, edit := range edits {
		edit(&p.Spec)
	}
	return p
}

func community(name string, pairs ...string) *v1beta1.Community {
	c := &v1beta1.Community{ObjectMeta: meta(name)}
	for i := 0; i < len(pairs); i += 2 {
		c.Spec.Communities = append(c.Spec.Communities, v1beta1.CommunityAlias{Name: pairs[i], Value: pairs[i+1]})
	}
	return c
}

// password returns the Secret s.
func password(kind corev1.SecretType, data ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: meta("s"), Type: kind, StringData: map[string]string{}}
	for i := 0; i < len(data); i += 2 {
		s.StringData[data[i]] = data[i+1]
	}
	return s
}

func metallb(name string, edits ...func(*v1beta1.MetalLBSpec)) *v1beta1.MetalLB {
	m := &v1beta1.MetalLB{ObjectMeta: meta(name)}
	for _, edit := range edits {
		edit(&m.Spec)
	}
	return m
}

func labeled(key, value string) []metav1.LabelSelector {
	return []metav1.LabelSelector{{MatchLabels: map[string]string{key: value}}}
}

func in[T client.Object](o T, namespace string) T {
	o.SetNamespace(namespace)
	return o
}

// edit returns a change of a BGPPeer, and so on.
func edit[T client.Object](change func(T)) func(client.Object) {
	return func(o client.Object) { change(o.(T)) }
}

// peerRules are the rules of peers.
func peerRules() map[string]row {
	type spec = v1beta2.BGPPeerSpec
	with := func(edits ...func(*spec)) *v1beta2.BGPPeer { return peer("p", edits...) }
	second := func(s *spec) { s.PeerAddress = "10.0.0.2" }
	inRange := func(routers string) func(*spec) {
		return func(s *spec) { s.PeerAddress, s.ListenRange = "", routers }
	}
	listening := func() client.Object {
		return metallb("metallb", func(s *v1beta1.MetalLBSpec) { s.BGPListenPort = new(int32(179)) })
	}
	//nolint:staticcheck // users may still write the old version
	outdated := &v1beta1.BGPPeer{ObjectMeta: meta("p"), Spec: v1beta1.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "10.0.0.1"}}
	useless := func(s *spec) { s.DisableMP = true } //nolint:staticcheck // users may still write it
	return map[string]row{
		"a good peer":                         {create: with()},
		"no AS number of its own":             {create: with(func(s *spec) { s.MyASN = 0 }), refused: []string{"spec.myASN"}},
		"no AS number of the peer":            {create: with(func(s *spec) { s.PeerASN = 0 }), refused: []string{"peerASN", "dynamicASN"}},
		"two AS numbers of the peer":          {create: with(func(s *spec) { s.DynamicASN = "internal" }), refused: []string{"peerASN", "dynamicASN"}},
		"multi-hop iBGP":                      {create: with(func(s *spec) { s.PeerASN, s.EBGPMultiHop = 64512, true }), refused: []string{"spec.ebgpMultiHop"}},
		"nowhere to go":                       {create: with(func(s *spec) { s.PeerAddress = "" }), refused: []string{"peerAddress", "interface"}},
		"a range while nobody listens":        {create: with(inRange("192.0.2.0/24")), warned: []string{"spec.listenRange is 192.0.2.0/24", "set spec.bgpListenPort of the MetalLB object"}},
		"a range":                             {given: []client.Object{listening()}, create: with(inRange("192.0.2.0/24"))},
		"ranges that overlap":                 {given: []client.Object{listening(), peer("older", inRange("192.0.2.0/24"))}, create: with(inRange("192.0.2.128/25")), refused: []string{"spec.listenRange", "192.0.2.128/25", "older", "already listens for 192.0.2.0/24"}},
		"two places to go":                    {create: with(func(s *spec) { s.Interface = "eth0" }), refused: []string{"peerAddress", "interface"}},
		"a bad address":                       {create: with(func(s *spec) { s.PeerAddress = "10.0.0" }), refused: []string{"spec.peerAddress", "10.0.0"}},
		"a group as address":                  {create: with(func(s *spec) { s.PeerAddress = "224.0.0.5" }), refused: []string{"spec.peerAddress", "224.0.0.5", "must be the address of one host"}},
		"a bad router ID":                     {create: with(func(s *spec) { s.RouterID = "::1" }), refused: []string{"spec.routerID", "::1"}},
		"a bad source":                        {create: with(func(s *spec) { s.SourceAddress = "here" }), refused: []string{"spec.sourceAddress", "here"}},
		"a source of the other family":        {create: with(func(s *spec) { s.SourceAddress = "2001:db8::1" }), refused: []string{"spec.sourceAddress", "2001:db8::1", "same address family"}},
		"a hold time of 2 s":                  {create: with(func(s *spec) { s.HoldTime = seconds(2) }), refused: []string{"spec.holdTime"}},
		"keepalives rarer than the hold time": {create: with(func(s *spec) { s.HoldTime, s.KeepaliveTime = seconds(9), seconds(10) }), refused: []string{"keepaliveTime"}},
		"keepalives alone":                    {create: with(func(s *spec) { s.KeepaliveTime = seconds(10) })},
		"two passwords":                       {create: with(func(s *spec) { s.Password, s.PasswordSecret.Name = "x", "s" }), refused: []string{"password"}},
		"a Secret of the wrong type": {given: []client.Object{password(corev1.SecretTypeOpaque, "password", "x")},
			create: with(func(s *spec) { s.PasswordSecret.Name = "s" }), warned: []string{"spec.passwordSecret.name is \"s\"", "kubernetes.io/basic-auth"}},
		"a Secret without a password": {given: []client.Object{password(corev1.SecretTypeBasicAuth, "username", "x")},
			create: with(func(s *spec) { s.PasswordSecret.Name = "s" }), warned: []string{"must have the key password"}},
		"a Secret that is not there yet": {create: with(func(s *spec) { s.PasswordSecret.Name = "s" }), warned: []string{"there is no Secret metallb-system/s"}},
		"a Secret that is there":         {given: []client.Object{password(corev1.SecretTypeBasicAuth, "password", "x")}, create: with(func(s *spec) { s.PasswordSecret.Name = "s" })},
		"a Secret elsewhere":             {create: with(func(s *spec) { s.PasswordSecret = corev1.SecretReference{Name: "s", Namespace: "default"} }), refused: []string{"spec.passwordSecret.namespace", "default"}},
		"a selector twice":               {create: with(func(s *spec) { s.NodeSelectors = append(labeled("a", "b"), labeled("a", "b")...) }), refused: []string{"spec.nodeSelectors"}},
		"a selector that is none": {create: with(func(s *spec) {
			s.NodeSelectors = []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}
		}), refused: []string{"spec.nodeSelectors[0]", "Near"}},
		"the same peer again": {given: []client.Object{peer("a-older")}, create: with(), refused: []string{"spec.peerAddress is 10.0.0.1", "BGPPeer metallb-system/a-older already has a session with it"}},
		"the same peer again, as v1beta1": {given: []client.Object{peer("a-older")}, create: outdated,
			refused: []string{"spec.peerAddress is 10.0.0.1", "already has a session with it"}},
		"the same peer for other nodes": {given: []client.Object{peer("a-older", func(s *spec) { s.NodeSelectors = labeled("rack", "a") })},
			create: with(func(s *spec) { s.NodeSelectors = labeled("rack", "b") })},
		"the same peer for some of the nodes": {given: []client.Object{peer("a-older")}, create: with(func(s *spec) { s.NodeSelectors = labeled("rack", "b") }), refused: []string{"already has a session with it"}},
		"the same peer in another VRF":        {given: []client.Object{peer("a-older")}, create: with(func(s *spec) { s.VRF = "red" })},
		"another AS number of its own":        {given: []client.Object{peer("a-older")}, create: with(second, func(s *spec) { s.MyASN = 64999 }), refused: []string{"spec.myASN is 64999", "64512"}},
		"another AS number in another VRF":    {given: []client.Object{peer("a-older")}, create: with(second, func(s *spec) { s.MyASN, s.VRF = 64999, "red" })},
		"another router ID": {given: []client.Object{peer("a-older", func(s *spec) { s.RouterID = "1.1.1.1" })}, create: with(second, func(s *spec) { s.RouterID = "2.2.2.2" }),
			refused: []string{"spec.routerID is 2.2.2.2", "1.1.1.1"}},
		"a BFD profile that is not there yet": {create: with(func(s *spec) { s.BFDProfile = "fast" }), warned: []string{"spec.bfdProfile is \"fast\"", "there is no BFDProfile metallb-system/fast"}},
		"BFD echo over IPv6": {given: []client.Object{profile("echo", func(s *v1beta1.BFDProfileSpec) { s.EchoMode = new(true) })},
			create: with(func(s *spec) { s.PeerAddress, s.BFDProfile = "2001:db8::1", "echo" }), refused: []string{"spec.bfdProfile is \"echo\"", "IPv4 sessions only"}},
		"FIX 1: disableMP, and in the wrong namespace": {create: in(with(useless), "default"), refused: []string{"metadata.namespace is \"default\"", "metallb-system"}},
		"FIX 1: disableMP, and a duplicate":            {given: []client.Object{peer("a-older")}, create: with(useless), refused: []string{"already has a session with it"}},
		"FIX 1: disableMP alone":                       {create: with(useless), warned: []string{"spec.disableMP is true"}},
		"FIX 4: a line break in the interface":         {create: with(func(s *spec) { s.PeerAddress, s.Interface = "", "eth0\n!" }), refused: []string{"interface"}},
		"FIX 4: a line break in the password":          {create: with(func(s *spec) { s.Password = "a\nrouter bgp 1" }), refused: []string{"password"}},
		"FIX 4: a line break in the password's Secret": {given: []client.Object{password(corev1.SecretTypeBasicAuth, "password", "a\nb")},
			create: with(func(s *spec) { s.PasswordSecret.Name = "s" }), warned: []string{"the password in Secret metallb-system/s", "visible characters only"}},
	}
}

// poolRules are the rules of pools and of what concerns their addresses.
func poolRules() map[string]row {
	return map[string]row{
		"a good pool":             {create: pool("p", "192.0.2.0/24", "2001:db8::/64")},
		"no addresses":            {create: pool("p"), refused: []string{"spec.addresses"}},
		"a bad prefix":            {create: pool("p", "192.0.2.0/33"), refused: []string{"spec.addresses[0]", "192.0.2.0/33"}},
		"a bad range":             {create: pool("p", "192.0.2.0-192.0.2"), refused: []string{"spec.addresses[0]", "192.0.2.0-192.0.2"}},
		"a range backwards":       {create: pool("p", "192.0.2.9-192.0.2.1"), refused: []string{"spec.addresses[0]", "192.0.2.9-192.0.2.1"}},
		"an IPv6 range backwards": {create: pool("p", "2001:db8::9-2001:db8::1"), refused: []string{"spec.addresses[0] is \"2001:db8::9-2001:db8::1\""}},
		"an overlap in itself":    {create: pool("p", "192.0.2.0/24", "192.0.2.7/32"), refused: []string{"spec.addresses[1] is \"192.0.2.7/32\"", "must not overlap spec.addresses[0]"}},
		"an overlap":              {given: []client.Object{pool("a-older", "192.0.2.0/24")}, create: pool("p", "192.0.2.128/25"), refused: []string{"192.0.2.128-192.0.2.255", "IPAddressPool metallb-system/a-older"}},
		"a namespace twice":       {create: allocated(pool("p", "192.0.2.0/24"), v1beta1.ServiceAllocation{Namespaces: []string{"a", "a"}}), refused: []string{"namespaces"}},
		"the wrong namespace":     {create: in(pool("p", "192.0.2.0/24"), "default"), refused: []string{"metadata.namespace is \"default\"", "only objects in namespace \"metallb-system\" are used"}},
		"host bits":               {create: pool("p", "192.0.2.5/24"), warned: []string{"spec.addresses[0] is \"192.0.2.5/24\"", "the whole prefix 192.0.2.0/24 is used"}},
		"FIX 2: growing over a newer pool": {given: []client.Object{pool("p", "192.0.2.0/26"), pool("q", "192.0.2.64/26")},
			change: edit(func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.0/25"} }), refused: []string{"IPAddressPool metallb-system/q", "overlaps 192.0.2.0-192.0.2.127"}},
		"FIX 2: too small for the aggregates of an advertisement": {given: []client.Object{pool("p", "192.0.2.0/24"), bgp("ad", func(s *v1beta1.BGPAdvertisementSpec) { s.AggregationLength = new(int32(26)) })},
			change:  edit(func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.0/27"} }),
			refused: []string{"BGPAdvertisement metallb-system/ad: spec.aggregationLength is 26: must be at least 27", "kubectl annotate --overwrite -n metallb-system ipaddresspools.metallb.io p metallb.io/allow-disruption=1"}},
		"FIX 2: the label that an advertisement with aggregates selects": {given: []client.Object{pool("p", "192.0.2.0/28"),
			bgp("ad", func(s *v1beta1.BGPAdvertisementSpec) {
				s.AggregationLength, s.IPAddressPoolSelectors = new(int32(26)), labeled("zone", "a")
			})}, change: edit(func(p *v1beta1.IPAddressPool) { p.Labels = map[string]string{"zone": "a"} }), refused: []string{"BGPAdvertisement metallb-system/ad: spec.aggregationLength is 26"}},
		"a label that nobody selects any more": {given: []client.Object{with(pool("p", "192.0.2.0/28"), "zone", "a"), bgp("ad", func(s *v1beta1.BGPAdvertisementSpec) { s.IPAddressPoolSelectors = labeled("zone", "a") })},
			change: edit(func(p *v1beta1.IPAddressPool) { p.Labels = nil }), warned: []string{"BGPAdvertisement metallb-system/ad", "no IPAddressPool that is in force matches"}},
		"deleting what is named": {given: []client.Object{pool("p", "192.0.2.0/28"), bgp("ad", func(s *v1beta1.BGPAdvertisementSpec) { s.IPAddressPools = []string{"p"} })}, remove: true,
			refused: []string{"IPAddressPool metallb-system/p can't be deleted", "BGPAdvertisement metallb-system/ad: spec.ipAddressPools[0] is \"p\": there is no IPAddressPool"}},
		"deleting what is not named": {given: []client.Object{pool("p", "192.0.2.0/28"), bgp("ad")}, remove: true},
		"a reservation of nothing":   {create: &v1beta1.IPReservation{ObjectMeta: meta("r"), Spec: v1beta1.IPReservationSpec{Namespace: "web", Addresses: []string{"192.0.2.1"}}}, warned: []string{"spec.addresses[0] is 192.0.2.1: no IPAddressPool that is in force has it"}},
		"a reservation twice": {given: []client.Object{pool("p", "192.0.2.0/28"), &v1beta1.IPReservation{ObjectMeta: meta("a-older"), Spec: v1beta1.IPReservationSpec{Namespace: "web", Addresses: []string{"192.0.2.1"}}}},
			create: &v1beta1.IPReservation{ObjectMeta: meta("r"), Spec: v1beta1.IPReservationSpec{Namespace: "db", Addresses: []string{"192.0.2.1"}}}, refused: []string{"192.0.2.1", "a-older"}},
		"a quota for a pool that is not there": {create: &v1beta1.AddressQuota{ObjectMeta: meta("q"), Spec: v1beta1.AddressQuotaSpec{Pools: []string{"p"}, IPv4: new(int32(1))}}, warned: []string{"spec.pools[0] is \"p\"", "there is no IPAddressPool"}},
	}
}

// adRules are the rules of advertisements and communities.
func adRules() map[string]row {
	type spec = v1beta1.BGPAdvertisementSpec
	with := func(edits ...func(*spec)) *v1beta1.BGPAdvertisement { return bgp("ad", edits...) }
	some := pool("p", "192.0.2.0/26")
	many := make([]string, 64)
	for i := range many {
		many[i] = "65000:" + string(rune('1'+i/10)) + string(rune('0'+i%10))
	}
	ibgp := func(s *v1beta2.BGPPeerSpec) { s.PeerASN = 64512 }
	return map[string]row{
		"a good advertisement":            {given: []client.Object{some.DeepCopy()}, create: with(func(s *spec) { s.IPAddressPools, s.Communities = []string{"p"}, []string{"65535:65281"} })},
		"an aggregation length of 33":     {create: with(func(s *spec) { s.AggregationLength = new(int32(33)) }), refused: []string{"spec.aggregationLength"}},
		"an IPv6 aggregation length of 0": {create: with(func(s *spec) { s.AggregationLengthV6 = new(int32(0)) }), refused: []string{"spec.aggregationLengthV6"}},
		"aggregates larger than the pool": {given: []client.Object{some.DeepCopy()}, create: with(func(s *spec) { s.AggregationLength = new(int32(25)) }), refused: []string{"spec.aggregationLength is 25", "must be at least 26 for IPAddressPool p"}},
		"another localPref for the same": {given: []client.Object{some.DeepCopy(), peer("peer", ibgp), bgp("a-older", func(s *spec) { s.LocalPref = 100 })},
			create: with(func(s *spec) { s.LocalPref = 200 }), refused: []string{"spec.localPref is 200", "BGPAdvertisement metallb-system/a-older has 100"}},
		"another localPref for another length": {given: []client.Object{some.DeepCopy(), peer("peer", ibgp), bgp("a-older", func(s *spec) { s.LocalPref = 100 })},
			create: with(func(s *spec) { s.LocalPref, s.AggregationLength = 200, new(int32(26)) })},
		"the same again":                  {given: []client.Object{some.DeepCopy(), bgp("a-older")}, create: with(), refused: []string{"says the same as the older BGPAdvertisement metallb-system/a-older"}},
		"a bad community":                 {create: with(func(s *spec) { s.Communities = []string{"65536:1"} }), refused: []string{"spec.communities[0]", "65536:1"}},
		"a community twice":               {create: with(func(s *spec) { s.Communities = []string{"1:1", "1:1"} }), refused: []string{"spec.communities"}},
		"64 communities":                  {create: with(func(s *spec) { s.Communities = many }), refused: []string{"spec.communities"}},
		"aggregates of chosen Services":   {create: with(func(s *spec) { s.AggregationLength, s.ServiceSelectors = new(int32(24)), labeled("a", "b") }), refused: []string{"serviceSelectors", "aggregat"}},
		"an alias that is not there yet":  {given: []client.Object{some.DeepCopy()}, create: with(func(s *spec) { s.Communities = []string{"blue"} }), warned: []string{"spec.communities[0] is \"blue\"", "no Community object defines this alias"}},
		"FIX 3: a pool that is not there": {create: with(func(s *spec) { s.IPAddressPools = []string{"p"} }), warned: []string{"spec.ipAddressPools[0] is \"p\"", "there is no IPAddressPool metallb-system/p"}},
		"FIX 3: a peer that is not there": {given: []client.Object{some.DeepCopy()}, create: with(func(s *spec) { s.Peers = []string{"tor"} }), warned: []string{"spec.peers[0] is \"tor\"", "there is no BGPPeer metallb-system/tor"}},
		"FIX 2: echo for sessions that carry IPv6": {given: []client.Object{pool("p", "2001:db8::/64"), profile("echo", func(s *v1beta1.BFDProfileSpec) { s.EchoMode = new(true) }),
			peer("tor", func(s *v1beta2.BGPPeerSpec) { s.BFDProfile, s.DualStackAddressFamily = "echo", true })}, create: with(), warned: []string{"BGPPeer metallb-system/tor", "BGPAdvertisement ad announces IPv6 addresses"}},
		"FIX 2: nodes that do not exist, layer 2": {given: []client.Object{some.DeepCopy()}, create: l2("l2", v1beta1.L2AdvertisementSpec{NodeSelectors: labeled("rack", "z")}), warned: []string{"spec.nodeSelectors: none of the 2 nodes matches"}},
		"layer 2, the same again":                 {given: []client.Object{some.DeepCopy(), l2("a-older", v1beta1.L2AdvertisementSpec{})}, create: l2("l2", v1beta1.L2AdvertisementSpec{}), refused: []string{"says the same as the older L2Advertisement"}},
		"layer 2, the same interface twice":       {create: l2("l2", v1beta1.L2AdvertisementSpec{Interfaces: []string{"eth0", "eth0"}}), refused: []string{"spec.interfaces"}},
		"a BFD interval of 9 ms":                  {create: profile("fast", func(s *v1beta1.BFDProfileSpec) { s.ReceiveInterval = new(uint32(9)) }), refused: []string{"spec.receiveInterval"}},
		"FIX 2: echo for a profile of IPv6 peers": {given: []client.Object{profile("fast"), peer("tor", func(s *v1beta2.BGPPeerSpec) { s.PeerAddress, s.BFDProfile = "2001:db8::1", "fast" })},
			change:  edit(func(p *v1beta1.BFDProfile) { p.Spec.EchoMode = new(true) }),
			refused: []string{"BFDProfile metallb-system/fast can't be changed like this", "BGPPeer metallb-system/tor: spec.bfdProfile is \"fast\""}},
		"an alias twice": {given: []client.Object{community("a-older", "blue", "1:1")}, create: community("c", "blue", "2:2"), refused: []string{"spec.communities[0].name is \"blue\"", "Community metallb-system/a-older defines it as 1:1"}},
		"a bad alias":    {create: community("c", "blue", "one"), refused: []string{"spec.communities[0].value"}},
		"taking away an alias in use": {given: []client.Object{community("c", "blue", "1:1"), some.DeepCopy(), bgp("ad", func(s *spec) { s.Communities = []string{"blue"} })},
			change: edit(func(c *v1beta1.Community) { c.Spec.Communities[0].Name = "green" }), refused: []string{"BGPAdvertisement metallb-system/ad: spec.communities[0] is \"blue\""}},
		"deleting an alias in use": {given: []client.Object{community("c", "blue", "1:1"), some.DeepCopy(), bgp("ad", func(s *spec) { s.Communities = []string{"blue"} })}, remove: true,
			refused: []string{"Community metallb-system/c can't be deleted", "BGPAdvertisement metallb-system/ad"}},
		"deleting an alias nobody uses": {given: []client.Object{community("c", "blue", "1:1")}, remove: true},
		"deleting a peer that is named": {given: []client.Object{peer("tor"), some.DeepCopy(), bgp("ad", func(s *spec) { s.Peers = []string{"tor"} })}, remove: true,
			refused: []string{"BGPPeer metallb-system/tor can't be deleted", "spec.peers[0] is \"tor\"", "bgppeers.metallb.io tor metallb.io/allow-disruption=1"}},
		"deleting a peer nobody names": {given: []client.Object{peer("tor"), some.DeepCopy(), bgp("ad")}, remove: true},
		"deleting a profile in use": {given: []client.Object{profile("fast"), peer("tor", func(s *v1beta2.BGPPeerSpec) { s.BFDProfile = "fast" })}, remove: true,
			refused: []string{"BFDProfile metallb-system/fast can't be deleted", "BGPPeer metallb-system/tor: spec.bfdProfile is \"fast\""}},
		"deleting a profile that is not used": {given: []client.Object{profile("fast")}, remove: true},
		"deleting a password in use": {given: []client.Object{password(corev1.SecretTypeBasicAuth, "password", "x"), peer("tor", func(s *v1beta2.BGPPeerSpec) { s.PasswordSecret.Name = "s" })}, remove: true,
			refused: []string{"Secret metallb-system/s can't be deleted", "BGPPeer metallb-system/tor: spec.passwordSecret.name is \"s\"", "secrets s metallb.io/allow-disruption=true"}},
		"deleting a password with leave": {given: []client.Object{annotated(password(corev1.SecretTypeBasicAuth, "password", "x"), "true"), peer("tor", func(s *v1beta2.BGPPeerSpec) { s.PasswordSecret.Name = "s" })}, remove: true,
			warned: []string{"as metallb.io/allow-disruption allows", "BGPPeer metallb-system/tor"}},
		"a password that can't be one": {given: []client.Object{password(corev1.SecretTypeBasicAuth, "password", "x"), peer("tor", func(s *v1beta2.BGPPeerSpec) { s.PasswordSecret.Name = "s" })},
			change: edit(func(s *corev1.Secret) { s.Data["password"] = []byte("a b") }), refused: []string{"the password in Secret metallb-system/s"}},
		"another password": {given: []client.Object{password(corev1.SecretTypeBasicAuth, "password", "x"), peer("tor", func(s *v1beta2.BGPPeerSpec) { s.PasswordSecret.Name = "s" })},
			change: edit(func(s *corev1.Secret) { s.Data["password"] = []byte("y") })},
		"deleting a password nobody uses": {given: []client.Object{password(corev1.SecretTypeBasicAuth, "password", "x")}, remove: true},
	}
}

// installationRules are the rules of MetalLB objects.
func installationRules() map[string]row {
	type spec = v1beta1.MetalLBSpec
	tooMuch := func(s *spec) {
		s.SpeakerConfig = &v1beta1.PodConfig{Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}, Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}
	}
	return map[string]row{
		"a good installation":             {create: metallb("metallb")},
		"FIX 8: a request over its limit": {create: metallb("metallb", tooMuch), refused: []string{"spec.speakerConfig.resources.requests[cpu]", "must not exceed the limit, 1"}},
		"FIX 8: the same, later":          {given: []client.Object{metallb("metallb")}, change: edit(func(m *v1beta1.MetalLB) { tooMuch(&m.Spec) }), refused: []string{"must not exceed the limit, 1"}},
		"tolerationSeconds without NoExecute": {create: metallb("metallb", func(s *spec) {
			s.SpeakerTolerations = []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule, TolerationSeconds: new(int64(1))}}
		}), refused: []string{"spec.speakerTolerations", "NoExecute"}},
		"no such backend":     {create: metallb("metallb", func(s *spec) { s.BGPBackend = "bird" }), refused: []string{"spec.bgpBackend"}},
		"another backend":     {create: metallb("metallb", func(s *spec) { s.BGPBackend = v1beta1.BGPBackendFRRK8s }), warned: []string{"spec.bgpBackend is frr-k8s"}},
		"another name":        {create: metallb("mine"), warned: []string{"metadata.name is \"mine\"", "only a MetalLB object named metallb is acted upon"}},
		"the wrong namespace": {create: in(metallb("metallb"), "default"), refused: []string{"metadata.namespace is \"default\"", "metallb-system"}},
	}
}

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

func allocated(p *v1beta1.IPAddressPool, a v1beta1.ServiceAllocation) *v1beta1.IPAddressPool {
	p.Spec.ServiceAllocation = &a
	return p
}

func with[T client.Object](o T, label, value string) T {
	o.SetLabels(map[string]string{label: value})
	return o
}

func annotated[T client.Object](o T, leave string) T {
	o.SetAnnotations(map[string]string{v1beta1.AnnotationAllowDisruption: leave})
	return o
}

// Given a configuration in a real API server that asks the webhooks, when an object is written or deleted, then every rule of MetalLB's
// webhooks and configuration holds, repaired where MetalLB's were wrong, and the answer has the field, what was found and what was wanted.
func TestRules(t *testing.T) {
	c := newCluster(t, apiserver.Options{})
	for _, rack := range []string{"a", "b"} {
		c.create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + rack, Labels: map[string]string{"rack": rack}}})
	}
	c.serve(t)
	for group, rows := range map[string]map[string]row{"peers": peerRules(), "pools": poolRules(), "advertisements": adRules(), "installation": installationRules()} {
		for name, row := range rows {
			t.Run(group+"/"+name, func(t *testing.T) {
				defer c.clear(t)
				c.create(t, row.given...)
				c.warnings.take()
				err := c.do(t, &row)
				said := strings.Join(c.warnings.take(), "\n")
				if row.refused == nil && err != nil {
					t.Fatalf("refused: %v", err)
				}
				if row.refused != nil && err == nil {
					t.Fatalf("admitted, with the warnings %q", said)
				}
				if row.warned == nil && said != "" && err == nil {
					t.Errorf("warnings: %s", said)
				}
				for _, text := range row.refused {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("the refusal does not say %q: %v", text, err)
					}
				}
				for _, text := range row.warned {
					if !strings.Contains(said, text) {
						t.Errorf("the warnings do not say %q: %s", text, said)
					}
				}
			})
		}
	}
}

// do makes the edit of a row.
func (c *cluster) do(t *testing.T, r *row) error {
	t.Helper()
	switch {
	case r.create != nil:
		return c.Create(t.Context(), r.create)
	case r.remove:
		return c.Delete(t.Context(), r.given[0])
	default:
		o := r.given[0].DeepCopyObject().(client.Object)
		before := o.DeepCopyObject().(client.Object)
		r.change(o)
		return c.Patch(t.Context(), o, client.MergeFrom(before))
	}
}

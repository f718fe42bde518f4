package intent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// labels is a selector by equality, all of it: the empty one matches everything.
type labels map[string]string

func (l labels) Matches(set map[string]string) bool {
	for key, value := range l {
		if got, ok := set[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func (l labels) String() string {
	var parts []string
	for key, value := range l {
		parts = append(parts, key+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// where is the list of one selector by one label.
func where(key, value string) []intent.RawSelector {
	return []intent.RawSelector{{Selector: labels{key: value}}}
}

// broken is the list of one selector that does not parse.
func broken() []intent.RawSelector {
	return []intent.RawSelector{{Err: `"Near" is not a valid label selector operator`}}
}

const lab = "lab"

// birth is when the oldest of the objects was created.
func birth() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// object is the metadata of an object that was created so many seconds after the oldest.
func object(name string, seconds int) intent.Meta {
	return intent.Meta{
		Namespace: lab, Name: name, UID: "uid-" + name, Generation: 1,
		Created: birth().Add(time.Duration(seconds) * time.Second), Labels: map[string]string{"name": name},
	}
}

func pool(name string, seconds int, addresses ...string) intent.RawPool {
	return intent.RawPool{Meta: object(name, seconds), Addresses: addresses, AutoAssign: true}
}

func peer(name string, seconds int, address string) intent.RawPeer {
	return intent.RawPeer{Meta: object(name, seconds), MyASN: 64512, PeerASN: 64513, PeerAddress: address}
}

func bgp(name string, seconds int, pools ...string) intent.RawBGPAdvertisement {
	return intent.RawBGPAdvertisement{Meta: object(name, seconds), Pools: pools}
}

func l2(name string, seconds int, pools ...string) intent.RawL2Advertisement {
	return intent.RawL2Advertisement{Meta: object(name, seconds), Pools: pools}
}

// reservation keeps addresses for every Service of a namespace, chosen leaves the addresses to a pool.
func reservation(name string, seconds int, addresses ...string) intent.RawReservation {
	return intent.RawReservation{Meta: object(name, seconds), TargetNamespace: "shop", Addresses: addresses}
}

func chosen(name string, seconds int, pool string, families ...string) intent.RawReservation {
	return intent.RawReservation{Meta: object(name, seconds), TargetNamespace: "shop", Pool: pool, IPFamilies: families}
}

func quota(name string, seconds int, pools ...string) intent.RawQuota {
	return intent.RawQuota{Meta: object(name, seconds), Pools: pools, IPv4: new(int32(2))}
}

func snippet(name string, seconds int, text string) intent.RawSnippet {
	return intent.RawSnippet{Meta: object(name, seconds), RawConfig: text}
}

func node(name, rack string) intent.RawNode {
	return intent.RawNode{Name: name, Labels: map[string]string{"name": name, "rack": rack}}
}

// base is a small configuration without any problem, with one object of each kind named first and created at second 10.
func base() intent.Raw {
	withProfile := peer("first", 10, "192.0.2.1")
	withProfile.BFDProfile = "first"
	withProfile.PasswordSecret = "first"
	advertisement := bgp("first", 10, "first")
	advertisement.Peers = []string{"first"}
	advertisement.Communities = []string{"first", "64512:1"}
	return intent.Raw{
		Namespace:         lab,
		Pools:             []intent.RawPool{pool("first", 10, "198.51.100.0/24")},
		Peers:             []intent.RawPeer{withProfile},
		BGPAdvertisements: []intent.RawBGPAdvertisement{advertisement},
		L2Advertisements:  []intent.RawL2Advertisement{l2("first", 10, "first")},
		BFDProfiles:       []intent.RawBFDProfile{{Meta: object("first", 10)}},
		Communities:       []intent.RawCommunity{{Meta: object("first", 10), Aliases: []intent.RawAlias{{Name: "first", Value: "65535:65281"}}}},
		Reservations:      []intent.RawReservation{chosen("first", 10, "first", "IPv4")},
		Quotas:            []intent.RawQuota{quota("first", 10, "first")},
		Snippets:          []intent.RawSnippet{snippet("first", 10, "debug bgp updates in\n")},
		Extras:            []intent.RawExtras{{Meta: object("bgpextras", 10), Extras: "debug bgp updates out\n"}},
		Secrets:           []intent.RawSecret{{Meta: object("first", 10), Type: "kubernetes.io/basic-auth", HasPassword: true, Password: intent.NewSecret("hunter2")}},
		Nodes:             []intent.RawNode{node("n1", "a"), node("n2", "b")},
	}
}

// build builds without a history and fails where a Problem does not say what it must.
func build(t *testing.T, raw intent.Raw) (intent.Snapshot, []intent.Problem) {
	t.Helper()
	snapshot, problems := intent.Build(raw, intent.Snapshot{})
	for _, p := range problems {
		if p.Object.Kind == "" || p.Kind == 0 || p.Rule == "" || p.Field == "" || p.Wanted == "" {
			t.Errorf("problem %+v lacks a part", p)
		}
	}
	return snapshot, problems
}

// lines are problems as text: "Kind: message".
func lines(problems []intent.Problem) []string {
	var out []string
	for _, p := range problems {
		kind := map[intent.ProblemKind]string{intent.Invalid: "invalid", intent.Unresolved: "unresolved", intent.Conflict: "conflict", intent.Warning: "warning"}[p.Kind]
		out = append(out, kind+" "+p.Error())
	}
	return out
}

func names(s intent.Snapshot) []string {
	var out []string
	for _, p := range s.Pools {
		out = append(out, "IPAddressPool "+p.Name)
	}
	for _, p := range s.Peers {
		out = append(out, "BGPPeer "+p.Name)
	}
	for _, a := range s.BGPAdvertisements {
		if len(a.Pools) == 0 {
			continue // only for addresses of pools that are gone
		}
		out = append(out, fmt.Sprintf("BGPAdvertisement %s %v %v", a.Name, a.Pools, a.Peers))
	}
	for _, a := range s.L2Advertisements {
		if len(a.Pools) == 0 {
			continue
		}
		out = append(out, fmt.Sprintf("L2Advertisement %s %v", a.Name, a.Pools))
	}
	for _, p := range s.BFDProfiles {
		out = append(out, "BFDProfile "+p.Name)
	}
	for _, r := range s.Reservations {
		out = append(out, fmt.Sprintf("IPReservation %s %v %v", r.Name, r.Addresses, r.Families))
	}
	for _, q := range s.Quotas {
		out = append(out, fmt.Sprintf("AddressQuota %s %v", q.Name, q.Pools))
	}
	for _, one := range s.Snippets {
		out = append(out, one.Ref.String())
	}
	return out
}

// set is where as Build returns it.
func set(key, value string) selector.Set { return selector.Set{labels{key: value}} }

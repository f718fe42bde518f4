package migrate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// Fate is what becomes of one Service's addresses.
type Fate struct {
	Service ipam.ServiceKey
	// Has is what its status shows now, Gets what it will show.
	Has, Gets []netip.Addr
	// Why says, in the controller's words, what it loses and what it lacks.
	Why []string
}

// Loses tells whether it loses an address.
func (f *Fate) Loses() bool {
	return slices.ContainsFunc(f.Has, func(a netip.Addr) bool { return !slices.Contains(f.Gets, a) })
}

// candidate is a Service to be served.
type candidate struct {
	svc     *corev1.Service
	request ipam.Request
	fate    *Fate
}

// Fates says what the controller will do when it starts: it takes in what Services have, the oldest first, and decides on each once, those first that
// have addresses, then those that ask for certain ones (rule A21). Only addresses of strangers on the network it can't know of.
func Fates(w *World, classes kubeview.Classes) []Fate {
	snapshot, _ := intent.Build(kubeview.Raw(w.Objects), intent.Snapshot{})
	pools := make([]ipam.Pool, 0, len(snapshot.Pools))
	for i := range snapshot.Pools {
		pools = append(pools, snapshot.Pools[i].Pool)
	}
	ledger := ipam.NewLedger(pools)
	ledger.SetQuotas(snapshot.Quotas)
	line, refused := holders(w, classes, ledger)
	slices.SortStableFunc(line, func(a, b candidate) int {
		_, aHolds := ledger.Claim(a.fate.Service)
		_, bHolds := ledger.Claim(b.fate.Service)
		return cmp.Or(-compareBool(aHolds, bHolds), -compareBool(len(a.request.Addresses) > 0, len(b.request.Addresses) > 0))
	})
	fates := make([]Fate, 0, len(line))
	for _, c := range line {
		d := ipam.Decide(ledger, c.request)
		c.fate.Gets = d.Addresses
		if why := refused[c.fate.Service]; why != nil {
			c.fate.Why = append(c.fate.Why, why.Error())
		}
		for _, g := range d.GivenUp {
			c.fate.Why = append(c.fate.Why, fmt.Sprintf("%s: %s", g.Address, g.Reason))
		}
		for _, p := range d.Problems {
			c.fate.Why = append(c.fate.Why, p.String())
		}
		claim := ipam.Claim{Service: c.fate.Service, Addresses: d.Addresses, Pool: d.Pool, Sharing: c.request.Sharing}
		// What is given up is free only when the API no longer shows it, which is later than all this.
		before, _ := ledger.Claim(c.fate.Service)
		for _, g := range d.GivenUp {
			claim.Leaving = append(claim.Leaving, ipam.Leaving{Address: g.Address, Sharing: before.Sharing})
		}
		if err := ledger.Assign(claim); err != nil {
			c.fate.Why = append(c.fate.Why, err.Error())
		}
		fates = append(fates, *c.fate)
	}
	slices.SortFunc(fates, func(a, b Fate) int {
		return cmp.Or(cmp.Compare(a.Service.Namespace, b.Service.Namespace), cmp.Compare(a.Service.Name, b.Service.Name))
	})
	return fates
}

// holders returns the Services of the classes, the oldest first, and puts what they have into the ledger. refused says why one can't keep what it has.
func holders(w *World, classes kubeview.Classes, ledger *ipam.Ledger) (line []candidate, refused map[ipam.ServiceKey]error) {
	refused = map[ipam.ServiceKey]error{}
	for i := range w.Services {
		svc := &w.Services[i]
		if !classes.Handle(svc) {
			continue
		}
		held, _ := kubeview.Held(svc)
		request := kubeview.Request(svc, w.NamespaceLabels[svc.Namespace])
		line = append(line, candidate{svc: svc, request: request, fate: &Fate{Service: request.Service, Has: held}})
	}
	slices.SortFunc(line, func(a, b candidate) int {
		return cmp.Or(a.svc.CreationTimestamp.Compare(b.svc.CreationTimestamp.Time), cmp.Compare(a.svc.Namespace, b.svc.Namespace), cmp.Compare(a.svc.Name, b.svc.Name))
	})
	for _, c := range line {
		if len(c.fate.Has) == 0 {
			continue
		}
		_, pool := kubeview.Held(c.svc)
		if err := ledger.Assign(ipam.Claim{Service: c.fate.Service, Addresses: c.fate.Has, Pool: pool, Sharing: c.request.Sharing}); err != nil {
			refused[c.fate.Service] = err
		}
	}
	return line, refused
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// services adds what becomes of every Service.
func (r *Report) services(w *World) {
	classes := classesOf(r.Spec)
	for _, f := range Fates(w, classes) {
		object, why := "Service "+f.Service.Namespace+"/"+f.Service.Name, strings.Join(f.Why, "; ")
		has, gets := list(f.Has), list(f.Gets)
		switch {
		case f.Loses():
			r.lost++
		case len(f.Has) > 0:
			r.kept++
		}
		switch {
		case f.Loses():
			r.add(Change, object, "", "has %s, would get %s: %s", has, gets, why)
		case len(f.Has) == 0 && len(f.Gets) == 0:
			r.add(Note, object, "", "has no address and gets none: %s", why)
		case len(f.Has) == 0:
			r.add(Note, object, "", "waits for an address, gets a free one such as %s", gets)
		case len(f.Gets) > len(f.Has):
			r.add(Note, object, "", "keeps %s and gets more: %s", has, gets)
		case why != "":
			r.add(Note, object, "", "keeps %s; %s", has, why)
		default:
			r.add(Keep, object, "", "%s", has)
		}
	}
}

func list(addresses []netip.Addr) string {
	if len(addresses) == 0 {
		return "none"
	}
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

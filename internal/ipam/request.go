package ipam

import (
	"net/netip"
	"slices"
)

// Request is what a Service asks for.
type Request struct {
	Service ServiceKey
	// Labels are the Service's, NamespaceLabels those of its namespace.
	Labels, NamespaceLabels map[string]string
	// Families are those of the Service's cluster IPs, the primary one first. Without any there is nothing to decide on.
	Families []Family
	// Policy is what a Service of two families wants.
	Policy FamilyPolicy
	// Addresses are those that the Service asks for by name, each once; empty means any.
	Addresses []netip.Addr
	// Count is how many addresses of each family the Service wants if it asks for no certain ones; 0 means 1.
	Count int
	// Pool is the only pool that the Service wants addresses from; "" means any.
	Pool    string
	Sharing Sharing
	// Invalid is what is wrong with the request itself, in the words that its author needs; "" when nothing is. A Service with an
	// invalid request keeps what it has.
	Invalid string
}

// FamilyPolicy is a Service's spec.ipFamilyPolicy.
type FamilyPolicy uint8

// The family policies. The zero value is what Kubernetes defaults to.
const (
	SingleStack FamilyPolicy = iota
	// PreferDualStack wants an address of each family of the Service, but is content with one.
	PreferDualStack
	// RequireDualStack wants both or none.
	RequireDualStack
)

// Accepts tells whether the pool's serviceAllocation admits a Service of the given namespace and labels (rule A5).
func (p *Pool) Accepts(namespace string, namespaceLabels, serviceLabels map[string]string) bool {
	a := p.Allocation
	if a == nil {
		return true
	}
	return a.admitsNamespace(namespace, namespaceLabels) && a.ServiceSelectors.MatchesOrEmpty(serviceLabels)
}

func (a *Allocation) admitsNamespace(name string, labels map[string]string) bool {
	if len(a.Namespaces) == 0 && len(a.NamespaceSelectors) == 0 {
		return true
	}
	return slices.Contains(a.Namespaces, name) || a.NamespaceSelectors.Matches(labels)
}

func (p *Pool) accepts(r *Request) bool {
	return p.Accepts(r.Service.Namespace, r.NamespaceLabels, r.Labels)
}

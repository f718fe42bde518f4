package ipam

import (
	"fmt"
	"net/netip"
	"slices"
)

// Port is one port that a Service listens on; Protocol is TCP, UDP or SCTP.
type Port struct {
	Protocol string
	Number   uint16
}

// String returns the port as MetalLB's messages do: "TCP/80".
func (p Port) String() string { return fmt.Sprintf("%s/%d", p.Protocol, p.Number) }

// Sharing is what decides whether Services may have an address in common (rules A14, A15): they have the same Key, not empty, the same
// Backend, no port in common, and each admits the namespace of the other.
type Sharing struct {
	// Key is the allow-shared-ip annotation, "" for a Service that does not share.
	Key string
	// Backend identifies the pods behind the Service where it matters, with externalTrafficPolicy Local: traffic for one address goes to
	// one node in layer 2, so that all Services of the address need their pods there. "" otherwise.
	Backend string
	// Ports are all ports of the Service.
	Ports []Port
	// With are the namespaces, sorted, whose Services may share beside those of the Service's own namespace; nil means all (rule A15).
	With []string
}

// Equal tells whether s and o are the same, ports in the same order.
func (s Sharing) Equal(o Sharing) bool {
	return s.Key == o.Key && s.Backend == o.Backend && slices.Equal(s.Ports, o.Ports) &&
		slices.Equal(s.With, o.With) && (s.With == nil) == (o.With == nil)
}

// admits tells whether a Service of namespace own with Sharing s shares with those of namespace other.
func (s Sharing) admits(own, other string) bool {
	return s.With == nil || own == other || slices.Contains(s.With, other)
}

// conflict says why Service me with Sharing s can't have an address that holder has with Sharing o; ok means that it can.
func (s Sharing) conflict(me ServiceKey, o Sharing, holder ServiceKey) (why string, ok bool) {
	const guard = "annotation metallb.io/share-with of %s does not admit namespace %s of %s"
	switch {
	case o.Key == "":
		return fmt.Sprintf("existing service does not allow sharing: it is in use by %s", holder), false
	case s.Key == "":
		return fmt.Sprintf("the service does not allow sharing and it is in use by %s", holder), false
	case s.Key != o.Key:
		return fmt.Sprintf("sharing key %q does not match existing sharing key %q of %s", s.Key, o.Key, holder), false
	case s.Backend != o.Backend:
		return fmt.Sprintf("backend key %q does not match existing backend key %q of %s", s.Backend, o.Backend, holder), false
	case !s.admits(me.Namespace, holder.Namespace):
		return fmt.Sprintf(guard, me, holder.Namespace, holder), false
	case !o.admits(holder.Namespace, me.Namespace):
		return fmt.Sprintf(guard, holder, me.Namespace, me), false
	}
	for _, port := range s.Ports {
		if slices.Contains(o.Ports, port) {
			return fmt.Sprintf("port %s is already in use by %s", port, holder), false
		}
	}
	return "", true
}

// Claim is what one Service has.
type Claim struct {
	Service ServiceKey
	// Addresses that the Service has, in the order of its status.
	Addresses []netip.Addr
	Sharing   Sharing
	// Pool is the one the addresses were given from, as far as known. It outlives the pool itself.
	Pool string
	// Leaving are addresses that the Service no longer has by decision, but still may have in the API.
	Leaving []Leaving
}

// Leaving is an address on its way from a Service to freedom. Until then nobody gets it who could not have shared it with the Service as
// it was when it gave the address up.
type Leaving struct {
	Address netip.Addr
	Sharing Sharing
}

// hold is an address that a claim keeps from others, with the sharing it has.
type hold struct {
	Leaving
	// leaving tells that the Service does not have it by decision.
	leaving bool
}

// holds returns every address that the claim keeps from others, each once.
func (c *Claim) holds() []hold {
	holds := make([]hold, 0, len(c.Addresses)+len(c.Leaving))
	for _, addr := range c.Addresses {
		holds = append(holds, hold{Leaving{addr, c.Sharing}, false})
	}
	for _, leaving := range c.Leaving {
		if !slices.ContainsFunc(holds, func(h hold) bool { return h.Address == leaving.Address }) {
			holds = append(holds, hold{leaving, true})
		}
	}
	return holds
}

// ConflictError tells that a Service can't have an address because of another one that has it.
type ConflictError struct {
	Address netip.Addr
	// Holder is the Service that has the address, and Why what keeps the two from sharing it.
	Holder ServiceKey
	Why    string
}

// Error names the address and says why it can't be shared.
func (e *ConflictError) Error() string { return fmt.Sprintf("%s: %s", e.Address, e.Why) }

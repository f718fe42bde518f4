// Package probe finds out whether anybody has an address, by asking on the links of this node. It opens sockets while it asks and does nothing
// otherwise.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// State is what was found out about an address.
type State uint8

// The states. The zero value is none of them.
const (
	// Free: the node is on the address's network, and nobody has the address.
	Free State = iota + 1
	// InUse: somebody has it or is about to take it, or it is the node's own or its gateway's.
	InUse
	// NotOnLink: no network of the node has it, so there is nobody to ask.
	NotOnLink
	// Failed: the node could not ask.
	Failed
)

// String returns the state as in the API.
func (s State) String() string {
	switch s {
	case Free:
		return "Free"
	case InUse:
		return "InUse"
	case NotOnLink:
		return "NotOnLink"
	case Failed:
		return "Failed"
	}
	return "Unknown"
}

// Result is what was found out about one address.
type Result struct {
	Address netip.Addr
	State   State
	// Link is the name of the link that was asked on or answered on, "" for none.
	Link string
	// MAC is that of whoever has the address, zero where it is not known.
	MAC wire.MAC
	// Message says in words how State came about.
	Message string
}

// Ask finds out about all addresses at once and returns a result for each, in the same order. It takes less than a second; when everybody
// who is asked for answers, a few milliseconds. It works in the network namespace of the calling thread.
func Ask(ctx context.Context, addresses []netip.Addr) []Result {
	results := make([]Result, len(addresses))
	network, err := link.Read()
	if err != nil {
		for i, address := range addresses {
			results[i] = failed(address, "", err)
		}
		return results
	}
	questions := map[place][]netip.Addr{}
	reached := make([][]link.Link, len(addresses))
	for i, address := range addresses {
		if results[i], reached[i] = judge(network, address); results[i].State != 0 {
			continue
		}
		for _, l := range reached[i] {
			at := place{l.Index, address.Is4()}
			questions[at] = append(questions[at], address)
		}
	}
	answers := askEverywhere(ctx, network, questions)
	for i, address := range addresses {
		if results[i].State == 0 {
			results[i] = merge(address, reached[i], answers)
		}
	}
	return results
}

// place is where a question is asked: one family on one link.
type place struct {
	link int
	ipv4 bool
}

// judge says what follows for an address from the node's network alone. A result without State means that neighbors have to be asked, on the
// links returned.
func judge(n link.Network, address netip.Addr) (Result, []link.Link) {
	if l, ok := n.Owner(address); ok {
		return Result{Address: address, State: InUse, Link: l.Name, MAC: l.MAC, Message: fmt.Sprintf("address of %s of this node", l.Name)}, nil
	}
	if l, ok := n.Gateway(address); ok {
		return Result{Address: address, State: InUse, Link: l.Name, Message: "gateway of this node"}, nil
	}
	var usable []link.Link
	message := "no link of this node has a network with this address"
	for _, l := range n.Reaching(address) {
		if l.State == link.Usable {
			usable = append(usable, l)
		} else {
			message = fmt.Sprintf("%s of this node has a network with this address, but %s", l.Name, l.State)
		}
	}
	if len(usable) == 0 {
		return Result{Address: address, State: NotOnLink, Message: message}, nil
	}
	return Result{Address: address}, usable
}

// answer is what a conversation on one link found out about one address: who has it, or why that could not be found out.
type answer struct {
	claimed bool
	mac     wire.MAC
	message string
	err     error
}

// answers are those of all links.
type answers map[place]map[netip.Addr]answer

// askEverywhere holds a conversation at every place, all at the same time, and returns when all have ended.
func askEverywhere(ctx context.Context, n link.Network, questions map[place][]netip.Addr) answers {
	got := answers{}
	var open []*conversation
	for at, addresses := range questions {
		l, _ := n.ByIndex(at.link)
		c, err := listen(l, n.MACs(), addresses)
		if err != nil {
			got[at] = all(addresses, err)
			continue
		}
		open = append(open, c)
	}
	var tasks errgroup.Group
	for _, c := range open {
		tasks.Go(func() error { c.hold(ctx); return nil })
	}
	_ = tasks.Wait() // what went wrong is in the answers
	for _, c := range open {
		got[place{c.link.Index, c.ipv4}] = c.answers
	}
	if len(open) > 0 {
		doubt(n, got)
	}
	return got
}

// all returns the same error about all addresses.
func all(addresses []netip.Addr, err error) map[netip.Addr]answer {
	of := make(map[netip.Addr]answer, len(addresses))
	for _, address := range addresses {
		of[address] = answer{err: err}
	}
	return of
}

// doubt takes back that nobody answered on links that are not any more what they were: who is cut off hears nobody. It also says better than
// the socket why asking failed.
func doubt(before link.Network, got answers) {
	now, err := link.ReadLinks()
	for at, of := range got {
		was, _ := before.ByIndex(at.link)
		is, ok := now.ByIndex(at.link)
		why := err
		switch {
		case why != nil:
		case !ok:
			why = errors.New("it was removed meanwhile")
		case is.State != link.Usable:
			why = fmt.Errorf("it %s now", is.State)
		case is.MAC != was.MAC:
			why = fmt.Errorf("its hardware address has become %s", is.MAC)
		default:
			continue
		}
		for address, a := range of {
			if !a.claimed {
				of[address] = answer{err: why}
			}
		}
	}
}

// merge makes one result of what the links said about an address: whoever has it on any link has it; a link that could not be asked leaves it
// open.
func merge(address netip.Addr, links []link.Link, got answers) Result {
	var asked []string
	problem := Result{}
	for _, l := range links {
		a, ok := got[place{l.Index, address.Is4()}][address]
		switch {
		case !ok:
			a.err = errors.New("nothing was asked")
			fallthrough
		case a.err != nil:
			problem = failed(address, l.Name, a.err)
		case a.claimed:
			return Result{Address: address, State: InUse, Link: l.Name, MAC: a.mac, Message: a.message}
		}
		asked = append(asked, l.Name)
	}
	if problem.State != 0 {
		return problem
	}
	return Result{Address: address, State: Free, Link: asked[0], Message: "nobody answered on " + strings.Join(asked, " and ")}
}

func failed(address netip.Addr, name string, err error) Result {
	if name == "" {
		return Result{Address: address, State: Failed, Message: err.Error()}
	}
	return Result{Address: address, State: Failed, Link: name, Message: fmt.Sprintf("cannot ask on %s: %v", name, err)}
}

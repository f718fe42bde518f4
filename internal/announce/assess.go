package announce

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Answer is yes, no, or that it cannot be told yet.
type Answer int

// The answers. The zero value is that nothing is known.
const (
	Unknown Answer = iota
	No
	Yes
)

// Assessment says whether the network is told of a Service's addresses, by whom, and if not why.
type Assessment struct {
	Announced Answer
	// Reason is never empty: of a yes it tells who announces.
	Reason
}

// The codes of assessments, besides those of verdicts.
const (
	// ReasonAnnounced and ReasonPartlyAnnounced are of a yes: all addresses are announced, or some.
	ReasonAnnounced       ReasonCode = "announced"
	ReasonPartlyAnnounced ReasonCode = "partlyAnnounced"
	// ReasonSessionDown and ReasonNotSent: nodes are configured to announce, and no router was sent a route.
	ReasonSessionDown ReasonCode = "sessionDown"
	ReasonNotSent     ReasonCode = "notSent"
	// ReasonApplyFailed: FRR does not run the configuration that announces.
	ReasonApplyFailed ReasonCode = "applyFailed"
	// ReasonNotAnswered: a node is to answer on layer 2 and does not.
	ReasonNotAnswered ReasonCode = "notAnswered"
	// ReasonNodeLost: a node is to announce, and nobody knows whether it does any more.
	ReasonNodeLost ReasonCode = "nodeLost"
	// ReasonPending: nodes are to announce, and what came of it is not known yet.
	ReasonPending ReasonCode = "pending"
)

// Heard is what speakers report.
type Heard struct {
	// Routes are those that announce the Service by BGP, sorted by node; Answering the nodes that answer for it on layer 2, sorted.
	Routes    []Route
	Answering []string
	// Speakers are those that report at all, by node.
	Speakers map[string]Speaker
	// Lost are nodes of which Kubernetes has not heard for a while: what they reported does not count.
	Lost map[string]bool
	// Diagnoses say what is wrong with sessions, as far as that is known.
	Diagnoses map[Session]string
}

// Session is the BGP session of a node that a BGPPeer asks for.
type Session struct{ Node, Peer string }

// Route is what one node says of a Service that it is to announce by BGP.
type Route struct {
	Node string
	// Peers are the BGPPeers that are to get a route, sorted, Sent what they got. Of a peer that is not in Sent that is not known.
	Peers []string
	Sent  []Delivery
}

// Delivery is what one router was sent of a Service.
type Delivery struct {
	Peer      string
	Addresses []netip.Addr
	// Missing says why others are missing: ReasonSessionDown or ReasonNotSent; no reason when none is.
	Missing Reason
}

// Speaker is what a speaker says of itself.
type Speaker struct {
	// Failure says why FRR there does not run what the configuration asks for, "" when it does; Drained why the node has given up its routes, ""
	// when it has not.
	Failure, Drained string
	// Links are the node's links that can carry layer 2; nil when that is not known.
	Links []string
}

// shownNodes is how many nodes an assessment explains.
const shownNodes = 3

// Assess judges by what speakers report whether a Service is announced. What it would take is found out by a survey, and only when something is
// missing: survey is what Survey.Of returns for the Service.
func Assess(svc *Service, heard *Heard, survey func() []View) Assessment {
	a := &assessor{svc: svc, heard: heard.living(), survey: survey}
	for _, addr := range distinct(svc.Addresses) {
		a.addresses = append(a.addresses, addr.Unmap())
	}
	if len(a.addresses) == 0 {
		return Assessment{No, Reason{ReasonNoAddress, "the Service has no address: its condition metallb.io/Allocated says why"}}
	}
	var why []Reason
	lacking := map[Reason][]netip.Addr{}
	for _, addr := range a.addresses {
		if a.announced(addr) {
			continue
		}
		r := a.why(addr)
		if lacking[r] = append(lacking[r], addr); len(lacking[r]) == 1 {
			why = append(why, r)
		}
	}
	if len(why) == 0 {
		return Assessment{Yes, Reason{ReasonAnnounced, a.who()}}
	}
	missing := 0
	lines := make([]string, len(why))
	for i, r := range why {
		missing += len(lacking[r])
		lines[i] = NoNode(lacking[r], a.does(lacking[r][0]), r.Detail)
	}
	text := strings.Join(lines, "; ")
	if missing < len(a.addresses) {
		return Assessment{Yes, Reason{ReasonPartlyAnnounced, a.who() + "; " + text}}
	}
	// What is not known may turn out well; what is known will not.
	for _, r := range why {
		if r.Code != ReasonPending && r.Code != ReasonNodeLost {
			return Assessment{No, Reason{r.Code, text}}
		}
	}
	return Assessment{Unknown, Reason{why[0].Code, text}}
}

// living returns what was heard of nodes that are not lost.
func (h *Heard) living() *Heard {
	if len(h.Lost) == 0 {
		return h
	}
	now := *h
	now.Routes = slices.DeleteFunc(slices.Clone(h.Routes), func(r Route) bool { return h.Lost[r.Node] })
	now.Answering = slices.DeleteFunc(slices.Clone(h.Answering), func(node string) bool { return h.Lost[node] })
	return &now
}

// NoNode says that no node announces addresses, and why, as events and conditions have it.
func NoNode(addresses []netip.Addr, by Protocol, why string) string {
	does := "answers for"
	if by == ProtocolBGP {
		does = "announces"
	}
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.String()
	}
	return fmt.Sprintf("no node %s %s: %s", does, strings.Join(texts, ", "), why)
}

type assessor struct {
	svc       *Service
	heard     *Heard
	survey    func() []View
	addresses []netip.Addr
	// views are what the survey returned, once it was asked.
	views []View
	asked bool
}

func (a *assessor) look() []View {
	if !a.asked {
		a.views, a.asked = a.survey(), true
	}
	return a.views
}

// layer2 returns the verdict on an address on layer 2, nil where nobody wants it there.
func (a *assessor) layer2(addr netip.Addr) *Verdict {
	for _, view := range a.look() {
		for _, v := range view.Verdicts {
			if v.Protocol == ProtocolLayer2 && v.Address == addr {
				return v
			}
		}
	}
	return nil
}

// announced tells whether somebody was told of an address.
func (a *assessor) announced(addr netip.Addr) bool {
	for i := range a.heard.Routes {
		for k := range a.heard.Routes[i].Sent {
			if slices.Contains(a.heard.Routes[i].Sent[k].Addresses, addr) {
				return true
			}
		}
	}
	if len(a.heard.Answering) == 0 {
		return false
	}
	// Nodes say for which Services they answer, not for which addresses.
	if len(a.addresses) == 1 {
		return true
	}
	v := a.layer2(addr)
	return v != nil && v.Owner != ""
}

// who tells who announces the Service.
func (a *assessor) who() string {
	nodes, peers := map[string]bool{}, map[string]bool{}
	for i := range a.heard.Routes {
		r := &a.heard.Routes[i]
		for k := range r.Sent {
			if d := &r.Sent[k]; len(d.Addresses) > 0 {
				nodes[r.Node], peers[d.Peer] = true, true
			}
		}
	}
	var parts []string
	if len(nodes) > 0 {
		from := fmt.Sprintf("%d nodes", len(nodes))
		if len(nodes) == 1 {
			from = "node " + slices.Sorted(maps.Keys(nodes))[0]
		}
		parts = append(parts, fmt.Sprintf("announced by BGP from %s to %s", from, named("BGPPeer", slices.Sorted(maps.Keys(peers)))))
	}
	if len(a.heard.Answering) > 0 {
		parts = append(parts, "answered for on layer 2 by "+named("node", a.heard.Answering))
	}
	return strings.Join(parts, ", ")
}

// does returns how an address that nobody announces would be.
func (a *assessor) does(addr netip.Addr) Protocol {
	if len(a.heard.Routes) == 0 && a.layer2(addr) != nil {
		return ProtocolLayer2
	}
	return ProtocolBGP
}

// why explains that nobody was told of an address.
func (a *assessor) why(addr netip.Addr) Reason {
	if r := a.undelivered(); r.Code != ReasonNone {
		return r
	}
	v := a.layer2(addr)
	if v == nil {
		return a.unrouted(addr)
	}
	r := v.Reason
	if owner := v.Owner; owner != "" {
		r = Reason{ReasonNotAnswered, "node " + owner + " is to answer for it and does not: its links and its speaker's log say more"}
		if _, reports := a.heard.Speakers[owner]; !reports {
			r = Reason{ReasonNotMember, "node " + owner + " is to answer for it, and no speaker reports from there"}
		}
	}
	if routed := a.unrouted(addr); routed.Code != ReasonNoAdvertisement && routed.Code != r.Code {
		r.Detail += "; by BGP: " + routed.Detail
	}
	return r
}

// undelivered explains that nodes are configured to send a route and routers did not get it, if that is so.
func (a *assessor) undelivered() Reason {
	var words []string
	where := map[string][]string{}
	code, pending := ReasonSessionDown, []string{}
	for i := range a.heard.Routes {
		r := &a.heard.Routes[i]
		for _, peer := range r.Peers {
			k := slices.IndexFunc(r.Sent, func(d Delivery) bool { return d.Peer == peer })
			if k < 0 {
				pending = append(pending, r.Node)
				continue
			}
			missing := r.Sent[k].Missing
			if missing.Code == ReasonNone {
				continue
			}
			if missing.Code != ReasonSessionDown {
				code = missing.Code
			}
			text := "BGPPeer " + peer + ": " + a.heard.explain(Session{r.Node, peer}, missing)
			if len(where[text]) == 0 {
				words = append(words, text)
			}
			where[text] = append(where[text], r.Node)
		}
	}
	switch {
	case len(words) > 0:
		lines := make([]string, 0, shownNodes+1)
		for i, text := range words {
			if i == shownNodes {
				lines = append(lines, fmt.Sprintf("and %d more", len(words)-i))
				break
			}
			lines = append(lines, named("node", where[text])+", "+text)
		}
		return Reason{code, strings.Join(lines, "; ")}
	case len(pending) > 0:
		slices.Sort(pending)
		return Reason{ReasonPending, named("node", slices.Compact(pending)) + " is configured to, and what it sends is not known yet"}
	}
	return Reason{}
}

// explain says why a session does not carry a route, in the words of the diagnosis where there is one.
func (h *Heard) explain(s Session, missing Reason) string {
	switch diagnosis := h.Diagnoses[s]; {
	case diagnosis == "":
		return missing.Detail
	case missing.Code == ReasonSessionDown:
		return "the session is not Established: " + diagnosis
	default:
		return missing.Detail + "; " + diagnosis
	}
}

// unrouted explains that no node is configured to announce an address by BGP.
func (a *assessor) unrouted(addr netip.Addr) Reason {
	var all []obstacleOf
	for _, view := range a.look() {
		for _, v := range view.Verdicts {
			if v.Protocol != ProtocolBGP || v.Address != addr {
				continue
			}
			o := obstacleOf{view.Node, v.Reason, v.Everywhere}
			if v.Announce {
				o.Reason = a.unheard(view.Node)
			}
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		return Reason{ReasonUnknownNode, "the cluster has no nodes"}
	}
	nearest(all)
	for _, o := range all {
		if o.everywhere {
			return o.Reason
		}
	}
	var lines []string
	for _, o := range all {
		if !slices.Contains(lines, o.Detail) {
			lines = append(lines, o.Detail)
		}
	}
	if more := len(lines) - shownNodes; more > 0 {
		lines = append(lines[:shownNodes], fmt.Sprintf("and so on for %d more", more))
	}
	return Reason{all[0].Code, strings.Join(lines, "; ")}
}

// unheard explains that a node which is to announce an address by BGP does not report that it does.
func (a *assessor) unheard(node string) Reason {
	s, reports := a.heard.Speakers[node]
	switch {
	case a.heard.Lost[node]:
		return Reason{ReasonNodeLost, "node " + node + " is to announce it, and Kubernetes has not heard from that node for a while"}
	case !reports:
		return Reason{ReasonNotMember, "node " + node + " is to announce it, and no speaker reports from there"}
	case s.Drained != "":
		return Reason{ReasonDraining, s.Drained}
	case s.Failure != "":
		return Reason{ReasonApplyFailed, "node " + node + ": " + s.Failure}
	}
	return Reason{ReasonPending, "node " + node + " is to announce it and does not report it yet"}
}

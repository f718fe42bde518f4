package frrstate

import "fmt"

// Codes of NOTIFICATION messages (RFC 4271 section 4.5).
const (
	codeOpen   = 2
	codeUpdate = 3
	codeHold   = 4
	codeFSM    = 5
	codeCease  = 6
)

// Subcodes of codeOpen (RFC 4271 section 6.2, RFC 5492) and of codeCease (RFC 4486, RFC 8538, RFC 9384).
const (
	openBadAS        = 2
	openBadID        = 3
	openBadHoldTime  = 6
	openCapability   = 7
	ceaseMaxPrefixes = 1
	ceaseShutdown    = 2
	ceaseRemoved     = 3
	ceaseReset       = 4
	ceaseRejected    = 5
	ceaseOther       = 6
	ceaseCollision   = 7
	ceaseResources   = 8
	ceaseHardReset   = 9
	ceaseBFD         = 10
)

// general are the codes in plain words, of the end that sends them.
var general = map[uint8]string{
	1:          "cannot read the header of a message",
	codeOpen:   "does not accept the OPEN message",
	codeUpdate: "cannot read an UPDATE message",
	codeHold:   "heard nothing for the hold time",
	codeFSM:    "got a message that it did not expect",
	codeCease:  "ends the session",
	7:          "cannot read a ROUTE-REFRESH message",
	8:          "could not send anything for longer than the hold time",
}

// words are codes with subcodes in plain words.
var words = map[[2]uint8]string{
	{codeOpen, 1}:                 "does not support the version of BGP",
	{codeOpen, openBadAS}:         "expects another AS",
	{codeOpen, openBadID}:         "does not accept the router ID",
	{codeOpen, 4}:                 "does not support an optional parameter",
	{codeOpen, openBadHoldTime}:   "does not accept the hold time",
	{codeOpen, openCapability}:    "misses a capability, such as an address family in common",
	{codeOpen, 11}:                "expects another BGP role",
	{codeCease, ceaseMaxPrefixes}: "got more prefixes than it allows",
	{codeCease, ceaseShutdown}:    "has the session shut down",
	{codeCease, ceaseRemoved}:     "has removed the neighbor",
	{codeCease, ceaseReset}:       "resets the session by order of a person",
	{codeCease, ceaseRejected}:    "does not want the connection",
	{codeCease, ceaseOther}:       "has changed its configuration",
	{codeCease, ceaseCollision}:   "closes one of two connections",
	{codeCease, ceaseResources}:   "is out of resources",
	{codeCease, ceaseHardReset}:   "resets the session and drops its routes",
	{codeCease, ceaseBFD}:         "lost sight of the other end by BFD",
}

// Words says in plain words what the message says, as "the router expects another AS (OPEN Message Error/Bad Peer AS)".
func (n *Notification) Words() string {
	who := "the router "
	if n.Sent {
		who = "this node "
	}
	said, ok := words[[2]uint8{n.Code, n.Subcode}]
	if !ok {
		said, ok = general[n.Code]
	}
	if !ok {
		said = "ends the session"
	}
	text := n.Text
	if text == "" {
		text = fmt.Sprintf("NOTIFICATION %d/%d", n.Code, n.Subcode)
	}
	return who + said + " (" + text + ")"
}

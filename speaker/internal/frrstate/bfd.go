package frrstate

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Commands for bfdd whose output ParseBFD and ParseBFDCounters read. Both show the sessions of all VRFs.
const (
	CommandBFD         = "show bfd peers json"
	CommandBFDCounters = "show bfd peers counters json"
)

// BFDSession is the state of one BFD session (RFC 5880).
type BFDSession struct {
	Key
	// Status is FRR's word: up, down, init or shutdown.
	Status string
	// Receive, Transmit and EchoTransmit are the local intervals, EchoTransmit 0 when echo is off.
	Receive, Transmit, EchoTransmit time.Duration
	// RemoteReceive and RemoteTransmit are what the peer asked for, 0 before it did; FRR has 1 s there before the session is up.
	RemoteReceive, RemoteTransmit time.Duration
	// Interface is the one that the session is bound to, "" for none.
	Interface string
	// Diagnostic says in FRR's words why the session last went down, and RemoteDiagnostic what the peer says of that; "ok" for nothing.
	Diagnostic, RemoteDiagnostic string
	// RemoteMultiplier is how many intervals without a packet end the session, as the peer asked.
	RemoteMultiplier int32
}

// Up tells whether the path is seen to work.
func (s *BFDSession) Up() bool { return s.Status == "up" }

// TransmitInterval is that of the packets sent: neither end sends faster than the other can receive (RFC 5880 section 6.8.7).
func (s *BFDSession) TransmitInterval() time.Duration { return max(s.Transmit, s.RemoteReceive) }

// ReceiveInterval is that of the packets to expect.
func (s *BFDSession) ReceiveInterval() time.Duration { return max(s.Receive, s.RemoteTransmit) }

// BFDCounters counts what happened on one BFD session.
type BFDCounters struct {
	Key
	ControlIn          int64 `json:"control-packet-input"`
	ControlOut         int64 `json:"control-packet-output"`
	EchoIn             int64 `json:"echo-packet-input"`
	EchoOut            int64 `json:"echo-packet-output"`
	Ups                int64 `json:"session-up"`
	Downs              int64 `json:"session-down"`
	ZebraNotifications int64 `json:"zebra-notifications"`
}

// bfdPeer is what names a session in both outputs.
type bfdPeer struct {
	Peer string `json:"peer"`
	VRF  string `json:"vrf"`
}

func (p bfdPeer) key() Key { return Key{VRF: vrfName(p.VRF), Peer: p.Peer} }

// ParseBFD reads the output of CommandBFD into sessions sorted by key.
func ParseBFD(output []byte) ([]BFDSession, error) {
	var printed []struct {
		bfdPeer
		Status           string `json:"status"`
		Receive          int64  `json:"receive-interval"`
		Transmit         int64  `json:"transmit-interval"`
		EchoTransmit     int64  `json:"echo-transmit-interval"`
		RemoteMultiplier int32  `json:"remote-detect-multiplier"`
		RemoteReceive    int64  `json:"remote-receive-interval"`
		RemoteTransmit   int64  `json:"remote-transmit-interval"`
		Interface        string `json:"interface"`
		Diagnostic       string `json:"diagnostic"`
		RemoteDiagnostic string `json:"remote-diagnostic"`
	}
	if none(output) {
		return nil, nil
	}
	if err := json.Unmarshal(output, &printed); err != nil {
		return nil, fmt.Errorf("parse the output of %q: %w", CommandBFD, err)
	}
	var sessions []BFDSession
	for _, p := range printed {
		sessions = append(sessions, BFDSession{
			Key: p.key(), Status: p.Status,
			Receive:          time.Duration(p.Receive) * time.Millisecond,
			Transmit:         time.Duration(p.Transmit) * time.Millisecond,
			EchoTransmit:     time.Duration(p.EchoTransmit) * time.Millisecond,
			RemoteMultiplier: p.RemoteMultiplier,
			RemoteReceive:    time.Duration(p.RemoteReceive) * time.Millisecond,
			RemoteTransmit:   time.Duration(p.RemoteTransmit) * time.Millisecond,
			Interface:        p.Interface, Diagnostic: p.Diagnostic, RemoteDiagnostic: p.RemoteDiagnostic,
		})
	}
	slices.SortStableFunc(sessions, func(a, b BFDSession) int { return a.Compare(b.Key) })
	return sessions, nil
}

// ParseBFDCounters reads the output of CommandBFDCounters into counters sorted by key.
func ParseBFDCounters(output []byte) ([]BFDCounters, error) {
	var printed []struct {
		bfdPeer
		BFDCounters
	}
	if none(output) {
		return nil, nil
	}
	if err := json.Unmarshal(output, &printed); err != nil {
		return nil, fmt.Errorf("parse the output of %q: %w", CommandBFDCounters, err)
	}
	var counters []BFDCounters
	for _, p := range printed {
		p.Key = p.key()
		counters = append(counters, p.BFDCounters)
	}
	slices.SortStableFunc(counters, func(a, b BFDCounters) int { return a.Compare(b.Key) })
	return counters, nil
}

package members

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// lanConfig returns memberlist's settings for one network. memberlist's own find a dead node in 5 to 7 s; these find it in about 0.7 s, which
// the connections between the members make safe: gossip that takes a busy node for dead is contradicted (see evidence). What they cost is 5
// probes of some 100 bytes a second, whatever the number of members.
func lanConfig() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.ProbeInterval = 200 * time.Millisecond
	// Twice this must be well below the interval: so long others take to say that they cannot reach a node either, and a member that misses that
	// thinks that it is slow itself.
	c.ProbeTimeout = 60 * time.Millisecond
	// Suspected nodes have 2 intervals, times the decimal logarithm of the number of members, to answer. With 2 no confirmation by others is
	// waited for: their rounds of probes take longer than that.
	c.SuspicionMult = 2
	c.SuspicionMaxTimeoutMult = 2
	c.GossipInterval = 100 * time.Millisecond
	// A member that notices that it is slow itself slows down, but not eightfold.
	c.AwarenessMaxMultiplier = 2
	// This bounds how long a dead peer holds up a join.
	c.TCPTimeout = 2 * time.Second
	// The address of a node may change; its name then belongs to the new one.
	c.DeadNodeReclaimTime = 10 * time.Second
	return c
}

// wanConfig returns memberlist's settings for --ml-wan-config: those that MetalLB's speakers have with it.
func wanConfig() *memberlist.Config {
	c := memberlist.DefaultWANConfig()
	c.DeadNodeReclaimTime = 10 * time.Second
	return c
}

// setting is a key of the tuning file: the name of a field of memberlist's configuration.
type setting struct {
	name string
	set  func(raw json.RawMessage) error
}

// settings returns the keys of the tuning file, as they change c.
func settings(c *memberlist.Config) []setting {
	return []setting{
		{"TCPTimeout", duration(&c.TCPTimeout)},
		{"IndirectChecks", number(&c.IndirectChecks)},
		{"RetransmitMult", number(&c.RetransmitMult)},
		{"SuspicionMult", number(&c.SuspicionMult)},
		{"SuspicionMaxTimeoutMult", number(&c.SuspicionMaxTimeoutMult)},
		{"PushPullInterval", duration(&c.PushPullInterval)},
		{"ProbeInterval", duration(&c.ProbeInterval)},
		{"ProbeTimeout", duration(&c.ProbeTimeout)},
		{"DisableTcpPings", boolean(&c.DisableTcpPings)},
		{"AwarenessMaxMultiplier", number(&c.AwarenessMaxMultiplier)},
		{"GossipInterval", duration(&c.GossipInterval)},
		{"GossipNodes", number(&c.GossipNodes)},
		{"GossipToTheDeadTime", duration(&c.GossipToTheDeadTime)},
		{"GossipVerifyIncoming", boolean(&c.GossipVerifyIncoming)},
		{"GossipVerifyOutgoing", boolean(&c.GossipVerifyOutgoing)},
		{"EnableCompression", boolean(&c.EnableCompression)},
		{"HandoffQueueDepth", number(&c.HandoffQueueDepth)},
		{"UDPBufferSize", number(&c.UDPBufferSize)},
		{"DeadNodeReclaimTime", duration(&c.DeadNodeReclaimTime)},
		{"QueueCheckInterval", duration(&c.QueueCheckInterval)},
	}
}

// ignoredKeys are fields of memberlist's configuration that have another source here: flags, or the node.
func ignoredKeys() []string {
	return []string{"name", "label", "bindaddr", "bindport", "advertiseaddr", "advertiseport", "secretkey", "dnsconfigpath", "protocolversion",
		"skipinboundlabelcheck", "requirenodenames", "cidrsallowed", "delegateprotocolversion", "delegateprotocolmin", "delegateprotocolmax", "metriclabels",
		"msgpackusenewtimeformat", "transport", "keyring", "delegate", "events", "conflict", "merge", "ping", "alive", "logoutput", "logger", "disabletcppingsfornode"}
}

// tune changes a configuration as the tuning file says: a JSON object with names of memberlist's fields, in any case and with or without
// underscores; durations are texts like "200ms" or whole nanoseconds. Keys that are missing stay as they are. Whatever can be used is, and the
// error names everything that cannot.
func tune(c *memberlist.Config, file []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(file, &object); err != nil {
		return fmt.Errorf("wanted a JSON object: %w", err)
	}
	known := settings(c)
	var wrong []error
	for key, raw := range object {
		plain := plainKey(key)
		i := slices.IndexFunc(known, func(s setting) bool { return plainKey(s.name) == plain })
		switch {
		case i >= 0:
			if err := known[i].set(raw); err != nil {
				wrong = append(wrong, fmt.Errorf("%s is %s: wanted %w", key, raw, err))
			}
		case !slices.Contains(ignoredKeys(), plain):
			wrong = append(wrong, fmt.Errorf("%s is not a setting: wanted one of %s", key, names(known)))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

func plainKey(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

func names(known []setting) string {
	var list []string
	for _, s := range known {
		list = append(list, s.name)
	}
	return strings.Join(list, ", ")
}

func duration(to *time.Duration) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		want := errors.New(`a duration above zero like "200ms", or nanoseconds`)
		var text string
		var d time.Duration
		var err error
		if bytes.HasPrefix(raw, []byte(`"`)) {
			if err = json.Unmarshal(raw, &text); err == nil {
				d, err = time.ParseDuration(text)
			}
		} else {
			err = json.Unmarshal(raw, (*int64)(&d))
		}
		if err != nil || d <= 0 {
			return want
		}
		*to = d
		return nil
	}
}

func number(to *int) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var n int
		if err := json.Unmarshal(raw, &n); err != nil || n <= 0 {
			return errors.New("a whole number above zero")
		}
		*to = n
		return nil
	}
}

func boolean(to *bool) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var b bool
		if err := json.Unmarshal(raw, &b); err != nil {
			return errors.New("true or false")
		}
		*to = b
		return nil
	}
}

// configure returns memberlist's settings for these options without what belongs to the node. An error is about the tuning file, of which the
// right part is in force.
func (o Options) configure() (*memberlist.Config, error) {
	c := lanConfig()
	if o.WAN {
		c = wanConfig()
	}
	if o.TuningPath == "" {
		return c, nil
	}
	file, err := os.ReadFile(o.TuningPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return c, fmt.Errorf("read the tuning of the members: %w", err)
	}
	if err := tune(c, file); err != nil {
		return c, fmt.Errorf("read the tuning of the members, %s: %w", o.TuningPath, err)
	}
	return c, nil
}

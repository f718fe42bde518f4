package members

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"
)

const (
	// joinEvery is how often missing peers are called while they are few; each call that succeeds makes two groups one.
	joinEvery = time.Second
	// joinShare limits the calls of a large group: with 100 missing each is called every 5 s.
	joinShare = 20
	// joinAtOnce is how many are called at the same time.
	joinAtOnce = 8
)

// joinAll joins peers at the start, when they change, and as long as some are missing, until ctx ends.
func (m *Members) joinAll(ctx context.Context) {
	timer := time.NewTimer(joinEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.join:
		}
		absent, told := m.unjoined()
		m.joinThese(ctx, absent)
		if told && ctx.Err() == nil {
			m.meet()
		}
		timer.Reset(max(joinEvery, time.Duration(len(absent))*joinEvery/joinShare))
	}
}

// unjoined returns the addresses of those that should be there and do not gossip, and whether it is known who should.
func (m *Members) unjoined() (absent []netip.Addr, told bool) {
	present := map[netip.Addr]bool{m.options.BindAddr: true}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.heard {
		present[n.addr.Addr()] = true
	}
	for _, known := range []map[string]netip.Addr{m.peers, m.gone} {
		for _, addr := range known {
			if !present[addr] {
				absent = append(absent, addr)
			}
		}
	}
	slices.SortFunc(absent, netip.Addr.Compare)
	return slices.Compact(absent), m.peers != nil
}

// joinThese tries to join each of them.
func (m *Members) joinThese(ctx context.Context, absent []netip.Addr) {
	var calls errgroup.Group
	calls.SetLimit(joinAtOnce)
	for _, addr := range absent {
		if ctx.Err() != nil {
			break
		}
		calls.Go(func() error {
			if _, err := m.list.Join([]string{net.JoinHostPort(addr.String(), strconv.Itoa(m.options.BindPort))}); err != nil {
				m.log.DebugContext(ctx, "partial join", "op", "memberDiscovery", "address", addr, "error", err)
				return nil
			}
			m.log.InfoContext(ctx, "joined a member", "op", "memberDiscovery", "address", addr)
			m.meet()
			return nil
		})
	}
	_ = calls.Wait()
}

// meet notes that this member has joined another one, or that nobody was to be found.
func (m *Members) meet() {
	m.mu.Lock()
	news := !m.met
	m.met = true
	m.mu.Unlock()
	if news {
		poke(m.dirty)
	}
}

// turnKeys follows the file with the secret until ctx ends.
func (m *Members) turnKeys(ctx context.Context, keys *memberlist.Keyring, r ring) {
	tick := time.NewTicker(max(m.options.Grace/12, 10*time.Millisecond))
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		key, err := readKey(m.options.SecretPath)
		if text := errorText(key, err); text != told {
			if told = text; text != "" {
				m.log.WarnContext(ctx, "the key of the members stays as it is", "op", "memberDiscovery", "error", text)
			}
		}
		next := r.turn(key, time.Now(), m.options.Grace)
		if sameKeys(r.keys(), next.keys()) {
			r = next
			continue
		}
		if err := install(keys, r.keys(), next.keys()); err != nil {
			m.log.ErrorContext(ctx, "the key of the members could not be changed", "op", "memberDiscovery", "error", err)
			continue
		}
		m.log.InfoContext(ctx, "the keys of the members changed", "op", "memberDiscovery", "newKeyInUse", next.next == nil, "keys", len(next.keys()))
		r = next
	}
}

func errorText(key []byte, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case key == nil:
		return "the secret is empty"
	}
	return ""
}

func sameKeys(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// install makes a keyring that has the keys in have one that has those in want, the first of which encrypts.
func install(keys *memberlist.Keyring, have, want [][]byte) error {
	for _, key := range want {
		if err := keys.AddKey(key); err != nil {
			return err
		}
	}
	if err := keys.UseKey(want[0]); err != nil {
		return err
	}
	for _, key := range have {
		if slices.ContainsFunc(want, func(k []byte) bool { return bytes.Equal(k, key) }) {
			continue
		}
		if err := keys.RemoveKey(key); err != nil {
			return err
		}
	}
	return nil
}

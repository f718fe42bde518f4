package members

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// secretFile is the name of the file in the folder where the Secret "memberlist" is mounted: the key of the Secret.
const secretFile = "secretkey"

// readKey returns the key in the file at path, or in the file secretkey of the folder at path; nil when path or the file is empty, which means
// gossip without encryption, as with MetalLB.
func readKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key of the members: %w", err)
	}
	if info.IsDir() {
		path = filepath.Join(path, secretFile)
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key of the members: %w", err)
	}
	return deriveKey(secret), nil
}

// deriveKey makes an AES-256 key from the content of the Secret. MetalLB appends the SHA-256 of nothing to the content and takes the first 32
// bytes, so that of a secret of 32 bytes or more the beginning is the key. To gossip with its speakers this must be the same. A line feed at
// the end counts.
func deriveKey(secret []byte) []byte {
	if len(secret) == 0 {
		return nil
	}
	return sha256.New().Sum(slices.Clone(secret))[:32]
}

// ring is what a member encrypts and decrypts with, and since when. A new key is only read with at first, because the others may not have it:
// a mounted Secret reaches every node when its kubelet comes round to it. Only after the grace is it written with, and after twice the grace
// from then on nobody can be writing with the old one.
type ring struct {
	// primary is the key to encrypt with.
	primary []byte
	// next is the key to become primary, nil when there is none, and since when it is known.
	next      []byte
	nextSince time.Time
	// old are the keys to decrypt with besides, and since when they are old.
	old []oldKey
}

type oldKey struct {
	key   []byte
	since time.Time
}

// turn returns the ring at a time, with this key in the file.
func (r ring) turn(key []byte, now time.Time, grace time.Duration) ring {
	out := ring{primary: r.primary, next: r.next, nextSince: r.nextSince, old: slices.Clone(r.old)}
	switch {
	case key == nil || bytes.Equal(key, out.next):
	case bytes.Equal(key, out.primary):
		// Back to the old key: others may write with the other one already.
		out = out.retire(out.next, now)
		out.next = nil
	default:
		out = out.retire(out.next, now)
		out.next, out.nextSince = key, now
	}
	if out.next != nil && now.Sub(out.nextSince) >= grace {
		out = out.retire(out.primary, now)
		out.primary, out.next = out.next, nil
	}
	out.old = slices.DeleteFunc(out.old, func(o oldKey) bool {
		return now.Sub(o.since) >= 2*grace || bytes.Equal(o.key, out.primary) || bytes.Equal(o.key, out.next)
	})
	return out
}

func (r ring) retire(key []byte, now time.Time) ring {
	if key != nil {
		r.old = append(r.old, oldKey{key, now})
	}
	return r
}

// keys returns all keys, the one to encrypt with first.
func (r ring) keys() [][]byte {
	keys := [][]byte{r.primary}
	if r.next != nil {
		keys = append(keys, r.next)
	}
	for _, o := range r.old {
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, o.key) }) {
			keys = append(keys, o.key)
		}
	}
	return keys
}

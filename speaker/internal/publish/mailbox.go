package publish

import "sync"

// mailbox hands the latest of a series of values from one goroutine to another; values that were not taken in time are lost.
type mailbox[T any] struct {
	// news has an element when there may be something to do.
	news chan struct{}

	mu      sync.Mutex
	latest  T
	version uint64
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{news: make(chan struct{}, 1)} }

// put replaces the value and wakes the receiver.
func (m *mailbox[T]) put(v T) {
	m.mu.Lock()
	m.latest = v
	m.version++
	m.mu.Unlock()
	m.wake()
}

// touch has the receiver take the value for a new one: what it is computed of has changed.
func (m *mailbox[T]) touch() {
	m.mu.Lock()
	if m.version > 0 {
		m.version++
	}
	m.mu.Unlock()
	m.wake()
}

// wake wakes the receiver without a new value.
func (m *mailbox[T]) wake() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// get returns the latest value and its number, counted from 1; 0 before the first.
func (m *mailbox[T]) get() (T, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest, m.version
}

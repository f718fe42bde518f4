package node

// Trigger wakes the Loop. However often it is pulled while a pass runs, one more pass follows.
type Trigger chan struct{}

// NewTrigger returns a Trigger that has not been pulled.
func NewTrigger() Trigger { return make(Trigger, 1) }

// Pull asks for a pass. It never blocks.
func (t Trigger) Pull() {
	select {
	case t <- struct{}{}:
	default:
	}
}

package l2

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// stuck is how long Run may work on one change. The slowest part is entering thousands of groups.
const stuck = time.Minute

// Links returns the names of the links that addresses can be answered on now, sorted, nil before they are known. Those of which only IPv6 lacks
// something are among them.
func (r *Responder) Links() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.usable
}

// LinksChanged is signaled when Links has changed. It is for one reader.
func (r *Responder) LinksChanged() <-chan struct{} { return r.relinked }

// SetExcluded changes the links that nothing is answered on.
func (r *Responder) SetExcluded(excluded []*regexp.Regexp) {
	r.mu.Lock()
	r.Excluded = slices.Clone(excluded)
	r.mu.Unlock()
	r.look()
}

// Healthy fails when Run has been working on one change for a minute, so that it would help to begin anew.
func (r *Responder) Healthy() error {
	if since := r.busy.Load(); since != 0 {
		if age := time.Since(time.Unix(0, since)); age > stuck {
			return fmt.Errorf("the links of this node are being looked after since %v", age.Truncate(time.Second))
		}
	}
	return nil
}

// relink works out the usable links anew; the caller has locked r.mu.
func (r *Responder) relink() {
	usable := []string{}
	for _, l := range r.links {
		if obstacle(l, true, r.Excluded) == "" {
			usable = append(usable, l.Name)
		}
	}
	slices.Sort(usable)
	if r.usable != nil && slices.Equal(usable, r.usable) {
		return
	}
	r.usable = usable
	signal(r.relinked)
}

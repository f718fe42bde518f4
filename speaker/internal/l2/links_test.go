package l2_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// linked waits until the usable links are those.
func linked(t *testing.T, r *l2.Responder, names ...string) {
	t.Helper()
	for limit := time.After(patience); ; {
		if got := r.Links(); got != nil && slices.Equal(got, names) {
			return
		}
		select {
		case <-r.LinksChanged():
		case <-limit:
			t.Fatalf("links are %v, want %v", r.Links(), names)
		}
	}
}

func TestGivenLinksThatComeGoAndAreExcludedThenThoseThatAddressesCanBeAnsweredOnAreTold(t *testing.T) {
	if got := l2.New(l2.Options{}).Links(); got != nil {
		t.Errorf("before they were read links are %v, want nil for unknown", got)
	}
	s := segment.New(t)
	h := s.Host("192.0.2.1/24")
	r := run(t, h, l2.Options{})
	linked(t, r, "eth0")
	s.Connect(h, "eth1")
	linked(t, r, "eth0", "eth1")
	r.SetExcluded([]*regexp.Regexp{regexp.MustCompile("^eth1$")})
	linked(t, r, "eth0")
	h.Down("eth0")
	linked(t, r)
	if got := r.Links(); got == nil {
		t.Error("no link is told as links that are not known")
	}
	r.SetExcluded(nil)
	linked(t, r, "eth1")
	if err := r.Healthy(); err != nil {
		t.Error(err)
	}
}

func TestGivenAnAddressThatIsAnsweredWhenItsLinkIsExcludedThenThatEndsAndComesBackWithTheLink(t *testing.T) {
	h := segment.New(t).Host("192.0.2.1/24")
	r := run(t, h, l2.Options{})
	r.Apply(entries(four))
	observed(t, r, four, "answered on eth0", answeredOn("eth0"))
	r.SetExcluded([]*regexp.Regexp{regexp.MustCompile("eth")})
	observed(t, r, four, "given up", answeredOn())
	r.SetExcluded(nil)
	observed(t, r, four, "answered again", answeredOn("eth0"))
}

package tap_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

func TestGivenTwoHostsWhenOneAsksForTheOtherThenQuestionAndAnswerAreHeardOnceAtTheirPorts(t *testing.T) {
	s := segment.New(t)
	asking, asked := s.Host("192.0.2.1/24", "fd00:2::1/64"), s.Host("192.0.2.2/24", "fd00:2::2/64")
	wire, err := tap.Open(s.Switch(), "port")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := wire.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, row := range []struct {
		own, address     string
		question, answer tap.Kind
	}{
		{"192.0.2.1", "192.0.2.2", tap.Request, tap.Reply},
		{"fd00:2::1", "fd00:2::2", tap.Solicitation, tap.Advertisement},
	} {
		t.Run(row.address, func(t *testing.T) {
			address := netip.MustParseAddr(row.address)
			began := time.Now()
			say(t, asking, netip.AddrPortFrom(address, 9).String())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			question, err := wire.Wait(ctx, func(m tap.Message) bool { return m.Kind == row.question && m.Target == address })
			if err != nil {
				t.Fatal(err)
			}
			answer, err := wire.Wait(ctx, func(m tap.Message) bool { return m.Kind == row.answer && m.Claims(address) })
			if err != nil {
				t.Fatal(err)
			}
			if question.Machine == answer.Machine {
				t.Errorf("question and answer both came from port %s", question.Machine)
			}
			if want := tap.MAC(asking.Get("eth0").Attrs().HardwareAddr); question.Hardware != want || question.From != want || question.Sender.String() != row.own {
				t.Errorf("question %s (frame from %s), want it from %s at %s", question, question.From, row.own, want)
			}
			if want := tap.MAC(asked.Get("eth0").Attrs().HardwareAddr); answer.Hardware != want || answer.From != want {
				t.Errorf("answer %s (frame from %s), want it from %s", answer, answer.From, want)
			}
			if answer.Gratuitous() || question.Gratuitous() {
				t.Error("a plain question or its answer counts as gratuitous")
			}
			if late := answer.Time.Sub(began); late < 0 || late > time.Second {
				t.Errorf("heard %s after asking", late)
			}
			if got := wire.Claimants(address, began); len(got) != 1 || got[answer.Machine] != 1 {
				t.Errorf("claimants of %s: %v, want port %s once", address, got, answer.Machine)
			}
		})
	}
}

// say sends a datagram, for which the host has to find out where the address is.
func say(t *testing.T, from *segment.Host, address string) {
	t.Helper()
	conn, err := netns.Dialer(from.Namespace)(t.Context(), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
}

func TestGivenATapWhenItIsClosedThenWhoWaitsIsTold(t *testing.T) {
	wire, err := tap.Open(segment.New(t).Switch(), "port")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := wire.Wait(t.Context(), func(tap.Message) bool { return false })
		ended <- err
	}()
	if err := wire.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("waiting at a closed tap succeeded")
	}
}

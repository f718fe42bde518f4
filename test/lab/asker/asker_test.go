package asker_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
)

func TestGivenAServerThatFallsSilentWhenAskedThenEachRequestIsAnsweredOrLost(t *testing.T) {
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const answered = 20
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		buffer := make([]byte, 100)
		for range answered {
			_, from, err := server.ReadFrom(buffer)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := server.WriteTo([]byte("host=a node=n1\n"), from); err != nil {
				t.Error(err)
			}
		}
	}()
	a := asker.Start(asker.Options{Address: server.LocalAddr().String(), Dial: (&net.Dialer{}).DialContext, Every: time.Millisecond, Patience: 50 * time.Millisecond})
	<-silent
	before := time.Now()
	for len(a.Answers().Since(before)) < 5 { // what nobody answers comes to an end too
		time.Sleep(time.Millisecond)
	}
	all := a.Stop()
	if got := len(all) - all.Lost(); got != answered {
		t.Errorf("%d requests were answered, want %d", got, answered)
	}
	for i, answer := range all {
		if i > 0 && answer.Sent.Before(all[i-1].Sent) {
			t.Errorf("answer %d is out of order", i)
		}
		if !answer.Lost() && (answer.From("node") != "n1" || answer.From("name") != "") {
			t.Errorf("answer %+v, want node n1 and no name", answer)
		}
		if answer.Lost() && answer.Took < 50*time.Millisecond {
			t.Errorf("given up after %s: %v", answer.Took, answer.Err)
		}
	}
	if got := all.Silence(); got < 50*time.Millisecond {
		t.Errorf("silence of %s, want the patience of the last request and more", got)
	}
}

func TestGivenAMachineThatCannotSendWhenAskedThenTheRequestIsLostAndSaysWhy(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	a := asker.Start(asker.Options{Address: "192.0.2.1:80", Dial: dial, Every: time.Millisecond})
	for len(a.Answers()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if all := a.Stop(); all.Lost() != len(all) || !strings.Contains(all[0].Err.Error(), "no route") {
		t.Errorf("%s, first error %v", all, all[0].Err)
	}
}

func TestSilenceIsTheLongestTimeWithoutAnAnswer(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(sent, took int, err error) asker.Answer {
		return asker.Answer{Sent: start.Add(time.Duration(sent) * time.Millisecond), Took: time.Duration(took) * time.Millisecond, Err: err}
	}
	lost := errors.New("lost")
	for name, row := range map[string]struct {
		answers asker.Answers
		want    int // ms
	}{
		"nothing asked":             {},
		"all answered":              {asker.Answers{at(0, 1, nil), at(10, 1, nil), at(20, 1, nil)}, 10},
		"a gap in the middle":       {asker.Answers{at(0, 1, nil), at(10, 100, lost), at(20, 100, lost), at(30, 1, nil), at(40, 90, nil)}, 99},
		"answers overtake":          {asker.Answers{at(0, 50, nil), at(10, 1, nil), at(20, 1, nil)}, 29},
		"silent to the end":         {asker.Answers{at(0, 1, nil), at(10, 100, lost)}, 109},
		"silent from the beginning": {asker.Answers{at(0, 100, lost), at(70, 1, nil)}, 71},
		"never an answer":           {asker.Answers{at(0, 100, lost), at(70, 100, lost)}, 170},
	} {
		if got := row.answers.Silence(); got != time.Duration(row.want)*time.Millisecond {
			t.Errorf("%s: %s, want %d ms", name, got, row.want)
		}
	}
}

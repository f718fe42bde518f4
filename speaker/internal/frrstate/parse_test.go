package frrstate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGivenKeptOutputsOfEachReleaseWhenParsedThenSessionsComeSortedByVRFAndPeer(t *testing.T) {
	for _, release := range []string{"bookworm", "trixie"} {
		sessions, err := frrstate.ParseSessions(read(t, release+"-sessions.json"))
		if err != nil {
			t.Fatal(err)
		}
		var keys []frrstate.Key
		for _, s := range sessions {
			keys = append(keys, s.Key)
		}
		want := []frrstate.Key{{Peer: "192.0.2.2"}, {Peer: "192.0.2.9"}, {Peer: "link0"}, {VRF: "red", Peer: "2001:db8::2"}}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("%s: sessions (-want +got):\n%s", release, diff)
		}
		bfd, err := frrstate.ParseBFD(read(t, release+"-bfd.json"))
		if err != nil || len(bfd) != 1 || !bfd[0].Up() || bfd[0].RemoteMultiplier != 3 || bfd[0].EchoTransmit != 0 {
			t.Errorf("%s: BFD %+v, error %v, want one session up", release, bfd, err)
		}
	}
}

func TestGivenAnOutputInWhichASessionEndedWithANotificationWhenParsedThenEveryFieldIsRead(t *testing.T) {
	sessions, err := frrstate.ParseSessions([]byte(`{"red":{"vrfId":7,"vrfName":"red","2001:db8::2":{
		"bgpState":"Established","bgpTimerUpEstablishedEpoch":1795207849,"bgpTimerHoldTimeMsecs":30000,"bgpTimerKeepAliveIntervalMsecs":10000,
		"messageStats":{"opensSent":1,"opensRecv":2,"notificationsSent":3,"updatesSent":4,"updatesRecv":5,"keepalivesSent":6,
			"keepalivesRecv":7,"routeRefreshSent":8,"totalSent":9,"totalRecv":10},
		"addressFamilyInfo":{"ipv6Unicast":{"acceptedPrefixCounter":3,"sentPrefixCounter":4},"ipv4Unicast":{"acceptedPrefixCounter":1,"sentPrefixCounter":2}},
		"neighborCapabilities":{"gracefulRestart":"advertisedAndReceived"},"gracefulRestartInfo":{"localGrMode":"Restart"},
		"lastResetTimerMsecs":1000,"lastErrorCodeSubcode":"060A","lastNotificationReason":"Cease/BFD Down","lastResetDueTo":"BGP Notification send"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []frrstate.Session{{
		Key: frrstate.Key{VRF: "red", Peer: "2001:db8::2"}, Address: "2001:db8::2", State: "Established", UpSince: time.Unix(1795207849, 0),
		HoldTime: 30 * time.Second, Keepalive: 10 * time.Second,
		Families:  []frrstate.Family{{Name: "ipv4Unicast", Sent: 2, Accepted: 1}, {Name: "ipv6Unicast", Sent: 4, Accepted: 3}},
		Messages:  frrstate.Messages{OpensSent: 1, OpensReceived: 2, NotificationsSent: 3, UpdatesSent: 4, UpdatesReceived: 5, KeepalivesSent: 6, KeepalivesReceived: 7, RouteRefreshSent: 8, TotalSent: 9, TotalReceived: 10},
		LastReset: "BGP Notification send", SinceReset: time.Second,
		Notification: &frrstate.Notification{Sent: true, Code: 6, Subcode: 10, Text: "Cease/BFD Down"},
		Restartable:  true,
	}}
	if diff := cmp.Diff(want, sessions); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if sessions[0].Sent() != 6 || sessions[0].Accepted() != 4 {
		t.Errorf("sums %d sent, %d accepted, want 6 and 4", sessions[0].Sent(), sessions[0].Accepted())
	}
}

func TestGivenSessionsWhenGracefulRestartIsNotAgreedOnThenTheyAreNotRestartable(t *testing.T) {
	for name, parts := range map[string]string{
		"this node only helps":      `"neighborCapabilities":{"gracefulRestart":"advertisedAndReceived"},"gracefulRestartInfo":{"localGrMode":"Helper*"}`,
		"the neighbor knows it not": `"neighborCapabilities":{"gracefulRestart":"advertised"},"gracefulRestartInfo":{"localGrMode":"Restart"}`,
		"nothing is said":           `"neighborCapabilities":{}`,
	} {
		sessions, err := frrstate.ParseSessions([]byte(`{"default":{"192.0.2.1":{"bgpState":"Established",` + parts + `}}}`))
		if err != nil || len(sessions) != 1 || sessions[0].Restartable {
			t.Errorf("%s: %+v, error %v, want one that is not restartable", name, sessions, err)
		}
	}
}

func TestGivenADaemonWithoutBGPWhenItAnswersWithAPercentLineThenThereAreNoSessions(t *testing.T) {
	for _, output := range []string{"", "\n", "% BGP instance not found\n", "{}\n", "{\n}\n"} {
		if sessions, err := frrstate.ParseSessions([]byte(output)); err != nil || len(sessions) > 0 {
			t.Errorf("output %q: sessions %+v, error %v, want neither", output, sessions, err)
		}
	}
}

func TestGivenTruncatedOutputWhenParsedThenTheErrorNamesTheCommand(t *testing.T) {
	for command, parse := range map[string]func([]byte) error{
		frrstate.CommandSessions:    func(b []byte) error { _, err := frrstate.ParseSessions(b); return err },
		frrstate.CommandBFD:         func(b []byte) error { _, err := frrstate.ParseBFD(b); return err },
		frrstate.CommandBFDCounters: func(b []byte) error { _, err := frrstate.ParseBFDCounters(b); return err },
	} {
		if err := parse([]byte(`{"default":{`)); err == nil || !strings.Contains(err.Error(), command) {
			t.Errorf("error %v, want one that names %q", err, command)
		}
	}
}

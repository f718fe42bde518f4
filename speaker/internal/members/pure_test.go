package members

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestGivenWhatAMemberSaysWhenGossipedThenTheOthersReadTheSameOrUnknown(t *testing.T) {
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf("vlan-uplink%02d", i))
	}
	for _, row := range []struct {
		name       string
		said, want about
		wire       string
	}{
		{"nothing", about{}, about{}, "1"},
		{"none usable", about{links: []string{}}, about{links: []string{}}, "1="},
		{"unsorted, with odd names", about{links: []string{"eth1", "bond0.10", "eth0,x=1+2", "eth1"}}, about{links: []string{"bond0.10", "eth0,x=1+2", "eth1"}}, "1=bond0.10/eth0,x=1+2/eth1"},
		{"more than fit", about{many, 50}, about{nil, 50}, "1+50"},
		{"a part withheld", about{[]string{"eth0"}, 75}, about{[]string{"eth0"}, 75}, "1+75=eth0"},
		{"all withheld, none usable", about{[]string{}, 100}, about{[]string{}, 100}, "1+100="},
		{"more than all withheld", about{nil, 101}, about{nil, 100}, "1+100"},
		{"less than nothing withheld", about{nil, -1}, about{}, "1"},
	} {
		meta := row.said.encode()
		got, own := decode(meta)
		if string(meta) != row.wire || len(meta) > 512 || !own || !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: %q in %d bytes gives %+v, own %t, want %q and %+v", row.name, meta, len(meta), got, own, row.wire, row.want)
		}
		if !reflect.DeepEqual(row.said.heard(), row.want) {
			t.Errorf("%s: the member takes itself for %+v, and the others for %+v", row.name, row.said.heard(), row.want)
		}
	}
}

func TestGivenMetadataOfOtherVersionsWhenReadThenWhatIsUnderstoodCounts(t *testing.T) {
	for meta, row := range map[string]struct {
		want about
		own  bool
	}{
		"":                {about{}, false}, // MetalLB
		"2=eth0":          {about{}, false},
		"1=eth0/eth1":     {about{links: []string{"eth0", "eth1"}}, true}, // before there was anything withheld
		"1+7.5=eth0":      {about{links: []string{"eth0"}}, true},
		"1+175":           {about{}, true},
		"1+-5":            {about{}, true},
		"1*news=eth0":     {about{links: []string{"eth0"}}, true},
		"1+50=/eth1/eth0": {about{[]string{"eth0", "eth1"}, 50}, true},
	} {
		if got, own := decode([]byte(meta)); own != row.own || !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q gives %+v, own %t, want %+v, %t", meta, got, own, row.want, row.own)
		}
	}
}

// FuzzMetadata: whatever comes from the network is read as something that a member could have said.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{"", "1", "1=", "1=eth0/eth1", "1+75=eth0", "1+100", "1+=//", "1++1=", "1+05=a/a", "2=x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, meta []byte) {
		a, own := decode(meta)
		if !own && !reflect.DeepEqual(a, about{}) || a.withheld < 0 || a.withheld > 100 || !slices.IsSorted(a.links) || slices.Contains(a.links, "") {
			t.Fatalf("%q gives %+v, own %t", meta, a, own)
		}
		if again, _ := decode(a.encode()); len(a.encode()) > 512 || len(meta) <= 512 && !reflect.DeepEqual(again, a) {
			t.Fatalf("%q gives %+v, and that gives %+v", meta, a, again)
		}
	})
}

func TestGivenASecretWhenReadThenTheKeyIsTheOneMetalLBUses(t *testing.T) {
	// MetalLB appends the digest of nothing, e3b0c442…, to the secret and takes 32 bytes.
	nothing := []byte{0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14}
	long := "dGhpcyBpcyBsb25nZXIgdGhhbiB0aGlydHktdHdvIGJ5dGVz"
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		path string
		want []byte
	}{
		{write("file", long), []byte(long[:32])},
		{filepath.Dir(write(secretFile, long)), []byte(long[:32])},
		{write("empty", ""), nil},
		{"", nil},
	} {
		if key, err := readKey(row.path); err != nil || !bytes.Equal(key, row.want) {
			t.Errorf("%s gives key %q, %v, want %q", row.path, key, err, row.want)
		}
	}
	if key, err := readKey(write("short", "abc\n")); err != nil || len(key) != 32 || !bytes.HasPrefix(key, append([]byte("abc\n"), nothing...)) {
		t.Errorf("a short secret gives key %x, %v", key, err)
	}
	if _, err := readKey(filepath.Join(folder, "missing")); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing file gives %v", err)
	}
}

// TestGivenKeysThatReachMembersAtDifferentTimesWhenTheyTurnThenEachAlwaysReadsTheOthers draws when each of three members sees each of several
// keys, each key within the grace of its first appearance and keys far enough apart.
func TestGivenKeysThatReachMembersAtDifferentTimesWhenTheyTurnThenEachAlwaysReadsTheOthers(t *testing.T) {
	const grace, step = 60 * time.Second, time.Second
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(1e9, 0)
		rings := []ring{{primary: []byte("0")}, {primary: []byte("0")}, {primary: []byte("0")}}
		files := [][]byte{[]byte("0"), []byte("0"), []byte("0")}
		now := start
		for round := range 3 {
			key := []byte{byte('1' + round)}
			var at []time.Time
			for range rings {
				at = append(at, now.Add(time.Duration(rapid.IntRange(0, 59).Draw(t, "delay"))*time.Second))
			}
			for end := now.Add(time.Duration(rapid.IntRange(125, 400).Draw(t, "until next")) * time.Second); now.Before(end); now = now.Add(step) {
				for i := range rings {
					if !now.Before(at[i]) {
						files[i] = key
					}
					rings[i] = rings[i].turn(files[i], now, grace)
				}
				for i, writer := range rings {
					for j, reader := range rings {
						if !slices.ContainsFunc(reader.keys(), func(k []byte) bool { return bytes.Equal(k, writer.primary) }) {
							t.Fatalf("after %v member %d writes with %q, member %d reads %q only", now.Sub(start), i, writer.primary, j, reader.keys())
						}
					}
				}
			}
			for i, r := range rings {
				if !bytes.Equal(r.primary, key) {
					t.Fatalf("after %v member %d still writes with %q, want %q", now.Sub(start), i, r.primary, key)
				}
			}
		}
		for i := range rings {
			if r := rings[i].turn(files[i], now.Add(time.Hour), grace); len(r.keys()) != 1 {
				t.Fatalf("an hour later member %d has the keys %q, want the last one only", i, r.keys())
			}
		}
	})
}

func TestGivenANewKeyWhenTheFileGoesBackOrAwayThenTheOldOneStaysInUse(t *testing.T) {
	start := time.Unix(1e9, 0)
	r := ring{primary: []byte("a")}.turn([]byte("b"), start, time.Minute)
	if got := bytes.Join(r.keys(), nil); string(got) != "ab" {
		t.Errorf("with a new key in the file the keys are %q, want a to write with and b to read with", got)
	}
	gone := r.turn(nil, start.Add(2*time.Second), time.Minute)
	if got := bytes.Join(gone.keys(), nil); string(got) != "ab" {
		t.Errorf("without file the keys are %q, want them as they were", got)
	}
	back := r.turn([]byte("a"), start.Add(time.Second), time.Minute)
	for after, want := range map[time.Duration]string{90 * time.Second: "ab", 3 * time.Minute: "a"} {
		if got := bytes.Join(back.turn([]byte("a"), start.Add(after), time.Minute).keys(), nil); string(got) != want {
			t.Errorf("%v after the file went back the keys are %q, want %q", after, got, want)
		}
	}
}

func TestGivenEvidenceWhenJudgedThenGossipDecidesButForProofThatTheProcessIsGoneOrAnswers(t *testing.T) {
	now := time.Unix(1e9, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	limits := timing{reach: 250 * time.Millisecond, hang: 3 * time.Second, doubt: 5 * time.Second}
	for _, row := range []struct {
		name  string
		e     evidence
		alive bool
		check time.Duration
	}{
		{"gossips, as a speaker of MetalLB without connection", evidence{gossip: true}, true, 0},
		{"gossips, connected", evidence{gossip: true, line: lineOpen}, true, 0},
		{"nobody listens any more", evidence{gossip: true, line: lineRefused, lineAt: ago(0), ackAt: ago(time.Second)}, false, limits.reach},
		{"a firewall refuses, but probes sent since are answered", evidence{gossip: true, line: lineRefused, lineAt: ago(time.Second), ackAt: ago(time.Millisecond)}, true, limits.reach},
		{"nobody listens, nobody gossips", evidence{line: lineRefused, lineAt: ago(time.Second), ackAt: ago(0)}, false, 0},
		{"said goodbye, gossip does not know yet", evidence{gossip: true, line: lineBye}, false, 0},
		{"gossip says dead, no connection", evidence{gossipAt: ago(0)}, false, 0},
		{"gossip says dead, connected, to be asked", evidence{line: lineOpen, gossipAt: ago(0)}, true, limits.reach / 2},
		{"gossip says dead, connected, asked a while before", evidence{line: lineOpen, gossipAt: ago(0), askedAt: ago(200 * time.Millisecond)}, true, 50 * time.Millisecond},
		{"no power: asked before, and its kernel does not acknowledge", evidence{line: lineOpen, gossipAt: ago(0), askedAt: ago(limits.reach)}, false, 0},
		{"busy: its kernel acknowledges, its process does not answer yet", evidence{line: lineOpen, gossipAt: ago(time.Second), askedAt: ago(time.Second), reached: true}, true, limits.reach / 2},
		{"hangs: its kernel acknowledges, its process does not answer", evidence{line: lineOpen, gossipAt: ago(2 * time.Second), askedAt: ago(limits.hang), reached: true}, false, 0},
		{"gossip says dead, it has answered everything", evidence{line: lineOpen, gossipAt: ago(time.Second), reached: true}, true, limits.reach / 2},
		{"gossip says dead for long, it has answered everything", evidence{line: lineOpen, gossipAt: ago(limits.doubt), reached: true}, false, 0},
	} {
		alive, check := row.e.alive(now, limits)
		if alive != row.alive || (row.check == 0) != check.IsZero() || (row.check != 0 && check.Sub(now) != row.check) {
			t.Errorf("%s: alive %t, look again at %v, want %t, after %v", row.name, alive, check, row.alive, row.check)
		}
	}
}

func TestGivenMembersOutOfSightWhenJudgedThenOnlyProofOrStrictnessStopsAndTheReasonSaysWho(t *testing.T) {
	proven := func(names ...string) (l []absent) {
		for _, n := range names {
			l = append(l, absent{n, true})
		}
		return l
	}
	dead := func(names ...string) (l []absent) {
		for _, n := range names {
			l = append(l, absent{n, false})
		}
		return l
	}
	for _, row := range []struct {
		name         string
		alive        []string
		lost         []absent
		usual, stern bool
	}{
		{"alone in the cluster", []string{"a"}, nil, true, true},
		{"one of three lost", []string{"a", "b"}, dead("c"), true, true},
		{"half of the racks without power", []string{"c", "d"}, dead("a", "b"), true, false},
		{"half of the racks without power, the first name here", []string{"a", "d"}, dead("b", "c"), true, true},
		{"two of three without power", []string{"a"}, dead("b", "c"), true, false},
		{"two nodes, the first died", []string{"b"}, dead("a"), true, false},
		{"two nodes, the second died", []string{"a"}, dead("b"), true, true},
		{"cut off from everybody while the API server says that they live", []string{"b"}, proven("a", "c"), false, false},
		{"the same, seen from the others", []string{"a", "c"}, proven("b"), true, true},
		{"two nodes cut, seen from the first", []string{"a"}, proven("b"), true, true},
		{"two nodes cut, seen from the second", []string{"b"}, proven("a"), false, false},
		{"one lives and three have no power", []string{"b"}, append(proven("a"), dead("c", "d", "e")...), false, false},
		{"everybody cut from everybody, the first", []string{"a"}, proven("b", "c"), true, false},
		{"everybody cut from everybody, another", []string{"b"}, proven("a", "c"), false, false},
	} {
		for mode, want := range map[Fencing]bool{FenceProven: row.usual, FenceStrict: row.stern, FenceOff: true} {
			ok, reason := quorate(mode, row.alive, row.lost)
			if ok != want || ok != (reason == "") {
				t.Errorf("%s, mode %d: %t %q, want %t", row.name, mode, ok, reason, want)
			}
		}
	}
	_, reason := quorate(FenceProven, []string{"b"}, proven("c", "a"))
	if want := "cut off: 1 of 3 members are in sight; a, c live, as the API server says, and cannot be reached"; reason != want {
		t.Errorf("reason %q, want %q", reason, want)
	}
}

func TestGivenAnySplitWhenEachSideIsJudgedThenUsuallySomebodyClaimsAndStrictlyAtMostOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "members")
		sides := map[int][]string{}
		var all []string
		for i := range n {
			side := rapid.IntRange(0, 4).Draw(t, "side")
			name := fmt.Sprintf("node%d", i)
			sides[side] = append(sides[side], name)
			all = append(all, name)
		}
		usual, stern := 0, 0
		for _, alive := range sides {
			var lost []absent
			for _, name := range all {
				if !slices.Contains(alive, name) {
					lost = append(lost, absent{name, true})
				}
			}
			if ok, _ := quorate(FenceProven, alive, lost); ok {
				usual++
			}
			if ok, _ := quorate(FenceStrict, alive, lost); ok {
				stern++
			}
		}
		if usual < 1 || usual > 2 || stern > 1 {
			t.Fatalf("%d sides of %v claim usually, %d strictly; want one or two, and at most one", usual, sides, stern)
		}
	})
}

func TestGivenAWitnessWhenItSpeaksThenOnlyASignOfLifeAfterTheLossProves(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1e9+int64(s), 0) }
	var p proofs
	tell := func(s int, mark string) bool {
		p = p.learn(map[string]string{"a": mark}, []string{"a"}, at(s))
		return p.proven("a", at(s))
	}
	if tell(0, "x") || tell(5, "x") {
		t.Error("a mark that may be older than the loss proves life")
	}
	if !tell(10, "y") || !tell(45, "y") {
		t.Error("a new mark does not prove life")
	}
	if tell(55, "y") {
		t.Error("a node whose mark has not changed for 45 s is taken for alive")
	}
	tell(60, "z")
	if tell(65, "") {
		t.Error("a node without running speaker is taken for alive")
	}
	if p = p.learn(nil, nil, at(70)); len(p) != 0 {
		t.Errorf("of members that are back, %v is remembered", p)
	}
}

func TestGivenATuningFileWhenReadThenItChangesWhatItNamesAndTheErrorNamesTheRest(t *testing.T) {
	c := lanConfig()
	err := tune(c, []byte(`{"ProbeInterval": "300ms", "probe_timeout": 150000000, "suspicionMult": 5, "EnableCompression": false, "Name": "x", "LogOutput": null}`))
	if err != nil {
		t.Error(err)
	}
	if c.ProbeInterval != 300*time.Millisecond || c.ProbeTimeout != 150*time.Millisecond || c.SuspicionMult != 5 || c.EnableCompression || c.GossipNodes != 3 || c.Name == "x" {
		t.Errorf("configuration %+v", c)
	}
	err = tune(c, []byte(`{"GossipNodes": 0, "GossipInterval": "soon", "ProbeTimeout": "1s", "Speed": 3, "DisableTcpPings": "no"}`))
	if err == nil {
		t.Fatal("a wrong file is accepted")
	}
	for _, text := range []string{"GossipNodes is 0: wanted a whole number above zero", `GossipInterval is "soon": wanted a duration`, "Speed is not a setting: wanted one of TCPTimeout",
		`DisableTcpPings is "no": wanted true or false`} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %v lacks %q", err, text)
		}
	}
	if c.ProbeTimeout != time.Second {
		t.Error("the right part of a wrong file is not in force")
	}
	if err := tune(c, []byte(`[]`)); err == nil {
		t.Error("a list is accepted")
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if c, err := (Options{WAN: true, TuningPath: path}).configure(); err != nil || c.ProbeInterval != 5*time.Second {
		t.Errorf("without file the WAN configuration is %+v, %v", c, err)
	}
}

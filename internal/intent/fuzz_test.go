package intent_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// FuzzBuild puts any text and number into every field and holds Build to: no panic, and no text in the Snapshot that could be more than one
// word of a configuration file.
func FuzzBuild(f *testing.F) {
	f.Add("192.0.2.0/24", "eth0", "hunter2", "65535:65281", "first", int64(3e9), uint32(64512))
	f.Add("2001:db8::-2001:db8::9", "eth0\n!", "a b", "large:1:2:3", "x\ny", int64(-1), uint32(0))
	f.Add("::ffff:10.0.0.0/104", "..", "\xff", "large:4294967295:0:0", "", int64(0), uint32(4294967295))
	f.Add("0.0.0.0/0", "fe80::1%eth0", "\u0085", "1:2:3", "a.b", int64(65535e9), uint32(1))
	f.Fuzz(func(t *testing.T, address, word, password, community, name string, nanoseconds int64, number uint32) {
		raw := base()
		last, _ := intent.Build(raw, intent.Snapshot{})
		raw.Pools = append(raw.Pools, pool(name, 20, address, word), pool("p", 21, address))
		one, two, three := peer(name, 20, address), peer("p", 21, word), peer("q", 22, "")
		one.MyASN, one.PeerASN, one.LocalASN, one.PeerPort = number, number+1, &number, uint16(number)
		one.HoldTime, one.KeepaliveTime, one.ConnectTime = new(time.Duration(nanoseconds)), new(time.Duration(nanoseconds/3)), new(time.Duration(nanoseconds))
		two.SourceAddress, two.RouterID, two.DynamicASN, two.VRF, two.Password = address, address, word, word, intent.NewSecret(password)
		three.Interface, three.BFDProfile, three.PasswordSecret, three.KeepaliveTime = word, name, "s", new(time.Duration(nanoseconds))
		raw.Peers = append(raw.Peers, one, two, three)
		raw.Secrets = append(raw.Secrets, intent.RawSecret{Meta: object("s", 20), Type: "kubernetes.io/basic-auth", HasPassword: true, Password: intent.NewSecret(password)})
		raw.BFDProfiles = append(raw.BFDProfiles, intent.RawBFDProfile{Meta: object(name, 20), ReceiveInterval: &number, DetectMultiplier: &number, EchoMode: true})
		raw.Communities = append(raw.Communities, intent.RawCommunity{Meta: object("c", 20), Aliases: []intent.RawAlias{{Name: word, Value: community}}})
		ad := bgp(name, 20, name, word)
		ad.Communities, ad.Peers, ad.AggregationLength, ad.AggregationLengthV6 = []string{community, word}, []string{name}, new(int32(number)), new(int32(number))
		all := bgp("all", 30)
		all.AggregationLength, all.LocalPref = new(int32(number%32+1)), number
		raw.BGPAdvertisements = append(raw.BGPAdvertisements, ad, all)
		layer2 := l2(name, 20, word)
		layer2.Interfaces = []string{word}
		raw.L2Advertisements = append(raw.L2Advertisements, layer2)
		raw.Snippets = append(raw.Snippets, snippet(name, 20, word), snippet("s", 21, password))

		fuzzReservations(&raw, address, word, name, int32(number))

		for _, last := range []intent.Snapshot{{}, last} {
			snapshot, problems := intent.Build(raw, last)
			words(t, "Snapshot", reflect.ValueOf(exported(snapshot)))
			for _, p := range snapshot.Peers {
				const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+=-"
				if text := p.Name + p.Interface + p.VRF + p.BFDProfile; strings.Trim(text, word) != "" {
					t.Errorf("peer %+v can't be written into a configuration file", p)
				}
			}
			for _, p := range problems {
				if strings.HasPrefix(password, "hunter") && strings.Contains(p.Error(), password) && !strings.Contains(address+word+community+name, "hunter") {
					t.Errorf("the password is in %q", p.Error())
				}
			}
		}
	})
}

// fuzzReservations adds reservations and quotas with any text.
func fuzzReservations(raw *intent.Raw, address, word, name string, number int32) {
	named, service, family := reservation(name, 20, address, word), chosen("r", 21, name, word), chosen("s", 22, "first")
	named.RetainAfterDelete, service.ServiceName, service.RetainAfterDelete = word, word, "1h"
	family.TargetNamespace, family.ServiceSelector = word, &intent.RawSelector{Err: word}
	raw.Reservations = append(raw.Reservations, named, service, family)
	one, two := quota(name, 20, name, word), quota("q", 21)
	one.IPv4, one.Namespaces, two.IPv6 = &number, []string{word}, &number
	raw.Quotas = append(raw.Quotas, one, two)
	strict := pool("strict", 30, address)
	strict.Allocation, strict.ConflictCheck, strict.AllowDisruption = &intent.RawAllocation{Strict: true}, word, name
	raw.Pools = append(raw.Pools, strict)
}

// words fails for every text below v that is more than one word. Selectors and labels never go into a configuration file.
func words(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	if secret, ok := v.Interface().(intent.Secret); ok {
		v = reflect.ValueOf(secret.Reveal())
	}
	if _, ok := v.Interface().(selector.Set); ok {
		return
	}
	if snippet, ok := v.Interface().(intent.Snippet); ok { // the only text of lines
		if strings.ContainsFunc(snippet.Text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) || !strings.HasSuffix(snippet.Text, "\n") {
			t.Errorf("%s.Text is %q", path, snippet.Text)
		}
		snippet.Text = ""
		v = reflect.ValueOf(snippet)
	}
	switch v.Kind() {
	case reflect.String:
		if strings.ContainsFunc(v.String(), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }) || !utf8.ValidString(v.String()) {
			t.Errorf("%s is %q", path, v.String())
		}
	case reflect.Slice:
		for i := range v.Len() {
			words(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			words(t, path, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				words(t, path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	default: // numbers and truth values hold no text
	}
}

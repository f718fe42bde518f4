package intent_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// TestGivenAnyFieldOfAnAdvertisementOrAliasWhenItIsSetThenWhatIsInForceDiffers takes what kubeview reads one step further. A field that is
// new and has no value here fails the test, so none is forgotten.
func TestGivenAnyFieldOfAnAdvertisementOrAliasWhenItIsSetThenWhatIsInForceDiffers(t *testing.T) {
	type raw = intent.RawBGPAdvertisement
	values := map[string]func(*intent.Raw, *raw){
		"RawBGPAdvertisement.Meta":                func(_ *intent.Raw, a *raw) { a.Meta = object("renamed", 10) },
		"RawBGPAdvertisement.AggregationLength":   func(_ *intent.Raw, a *raw) { a.AggregationLength = new(int32(24)) },
		"RawBGPAdvertisement.AggregationLengthV6": func(_ *intent.Raw, a *raw) { a.AggregationLengthV6 = new(int32(120)) },
		"RawBGPAdvertisement.LocalPref":           func(_ *intent.Raw, a *raw) { a.LocalPref = 7 },
		"RawBGPAdvertisement.ASPathPrepend":       func(_ *intent.Raw, a *raw) { a.ASPathPrepend = 7 },
		"RawBGPAdvertisement.MED":                 func(_ *intent.Raw, a *raw) { a.MED = new(int64(0)) },
		"RawBGPAdvertisement.Communities":         func(_ *intent.Raw, a *raw) { a.Communities = []string{"no-export"} },
		"RawBGPAdvertisement.ExtCommunities":      func(_ *intent.Raw, a *raw) { a.ExtCommunities = []string{"rt:1:1"} },
		"RawBGPAdvertisement.LinkBandwidth":       func(_ *intent.Raw, a *raw) { a.LinkBandwidth = new(int32(7)) },
		"RawBGPAdvertisement.Overrides":           func(_ *intent.Raw, a *raw) { a.Overrides = &intent.RawOverrides{MaxASPathPrepend: 1} },
		"RawBGPAdvertisement.Pools":               func(_ *intent.Raw, a *raw) { a.Pools = nil },
		"RawBGPAdvertisement.PoolSelectors": func(r *intent.Raw, a *raw) {
			r.Pools = append(r.Pools, pool("second", 20, "203.0.113.0/24"))
			a.PoolSelectors = where("name", "second")
		},
		"RawBGPAdvertisement.NodeSelectors":    func(_ *intent.Raw, a *raw) { a.NodeSelectors = where("rack", "a") },
		"RawBGPAdvertisement.ServiceSelectors": func(_ *intent.Raw, a *raw) { a.ServiceSelectors = where("app", "dns") },
		"RawBGPAdvertisement.Peers":            func(_ *intent.Raw, a *raw) { a.Peers = nil },

		"RawOverrides.Communities":      func(_ *intent.Raw, a *raw) { a.Overrides = &intent.RawOverrides{Communities: []string{"first"}} },
		"RawOverrides.MaxASPathPrepend": func(_ *intent.Raw, a *raw) { a.Overrides = &intent.RawOverrides{MaxASPathPrepend: 2} },
		"RawOverrides.MED":              func(_ *intent.Raw, a *raw) { a.Overrides = &intent.RawOverrides{MED: &intent.RawRange{Min: 1, Max: 2}} },
		"RawOverrides.LocalPref": func(_ *intent.Raw, a *raw) {
			a.Overrides = &intent.RawOverrides{LocalPref: &intent.RawRange{Min: 1, Max: 2}}
		},
		"RawRange.Min": func(_ *intent.Raw, a *raw) { a.Overrides = &intent.RawOverrides{MED: &intent.RawRange{Min: 3, Max: 9}} },
		"RawRange.Max": func(_ *intent.Raw, a *raw) { a.Overrides = &intent.RawOverrides{MED: &intent.RawRange{Min: 1, Max: 9}} },

		// An alias shows in the advertisement that uses it.
		"RawAlias.Name": func(r *intent.Raw, a *raw) {
			r.Communities[0].Aliases[0].Name, a.Communities = "no-peer", []string{"no-peer", "1:2"}
		},
		"RawAlias.Value": func(r *intent.Raw, _ *raw) { r.Communities[0].Aliases[0].Value = "no-llgr" },
	}
	seen := map[string]string{}
	for _, kind := range []reflect.Type{
		reflect.TypeFor[raw](), reflect.TypeFor[intent.RawOverrides](), reflect.TypeFor[intent.RawRange](), reflect.TypeFor[intent.RawAlias](),
	} {
		for field := range kind.Fields() {
			name := kind.Name() + "." + field.Name
			set := values[name]
			if set == nil {
				t.Errorf("%s: no value to try", name)
				continue
			}
			r := base()
			set(&r, &r.BGPAdvertisements[0])
			s, _ := build(t, r)
			got := fmt.Sprintf("%+v", s.BGPAdvertisements)
			if other, same := seen[got]; same {
				t.Errorf("%s: what is in force is the same as with %s: %s", name, other, got)
			}
			seen[got] = name
			before, _ := build(t, base())
			if got == fmt.Sprintf("%+v", before.BGPAdvertisements) {
				t.Errorf("%s: another value, the same in force", name)
			}
		}
	}
}

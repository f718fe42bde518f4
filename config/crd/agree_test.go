package crd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// What the API server refuses to store the programs refuse to use, and the reverse, as far as one object can tell: else a user would be told
// different things by the two, or by neither.
func TestSchemaAndProgramsAgreeOnEveryRow(t *testing.T) {
	// stricter are the rows that the schema refuses and that mean something all the same where they are stored already.
	stricter := map[string]string{
		"BGPPeer v1beta2/port 0":                               "stands for the default where v1beta1 stored it",
		"BGPAdvertisement v1beta1/preference above the format": "a number of 32 bits to the programs as to BGP; the schema promises one that fits int32",
		"L2Advertisement v1beta1/no preference":                "an empty selector to the programs",
		"FRRSnippet v1beta1/a priority that is too high":       "an order like any other to the programs",
		"BFDProfile v1beta1/TTL key in capitals":               "to Go the same key",
	}
	all := loadSchemas(t)
	judged := map[string]int{}
	for _, r := range rows() {
		objects := kubeview.Objects{Namespace: "metallb-system"}
		kind, _, _ := strings.Cut(r.kind, " ")
		var err error
		switch r.kind {
		case "IPAddressPool v1beta1":
			objects.Pools = make([]v1beta1.IPAddressPool, 1)
			err = decode(t, all, r, &objects.Pools[0])
		case "IPReservation v1beta1":
			objects.Reservations = make([]v1beta1.IPReservation, 1)
			err = decode(t, all, r, &objects.Reservations[0])
		case "AddressQuota v1beta1":
			objects.Quotas = make([]v1beta1.AddressQuota, 1)
			err = decode(t, all, r, &objects.Quotas[0])
		case "BGPPeer v1beta2":
			objects.Peers = make([]v1beta2.BGPPeer, 1)
			err = decode(t, all, r, &objects.Peers[0])
		case "BGPAdvertisement v1beta1":
			objects.BGPAdvertisements = make([]v1beta1.BGPAdvertisement, 1)
			err = decode(t, all, r, &objects.BGPAdvertisements[0])
		case "L2Advertisement v1beta1":
			objects.L2Advertisements = make([]v1beta1.L2Advertisement, 1)
			err = decode(t, all, r, &objects.L2Advertisements[0])
		case "BFDProfile v1beta1":
			objects.BFDProfiles = make([]v1beta1.BFDProfile, 1)
			err = decode(t, all, r, &objects.BFDProfiles[0])
		case "Community v1beta1":
			objects.Communities = make([]v1beta1.Community, 1)
			err = decode(t, all, r, &objects.Communities[0])
		case "FRRSnippet v1beta1":
			objects.Snippets = make([]v1beta1.FRRSnippet, 1)
			err = decode(t, all, r, &objects.Snippets[0])
		default:
			continue
		}
		if err != nil {
			continue // no program can even read it
		}
		judged[kind]++
		_, problems := intent.Build(kubeview.Raw(objects), intent.Snapshot{})
		var invalid []string
		for _, p := range problems {
			if p.Kind == intent.Invalid {
				invalid = append(invalid, p.Error())
			}
		}
		_, listed := stricter[r.kind+"/"+r.name]
		if (r.want != "") != (len(invalid) > 0 || listed) {
			t.Errorf("%s/%s: the schema is to say %q, the programs say %q", r.kind, r.name, r.want, invalid)
		}
	}
	for _, kind := range []string{"IPAddressPool", "IPReservation", "AddressQuota"} {
		if judged[kind] == 0 {
			t.Errorf("no row of %s was judged", kind)
		}
	}
}

// decode reads the row with its defaults as a program does, and fails on what the Go types can't hold.
func decode(t *testing.T, all schemas, r row, into any) error {
	t.Helper()
	object := r.object(t, "x")
	all.check(t.Context(), object, nil)
	text, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

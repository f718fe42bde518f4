package migrate

import (
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// configuration judges the objects by what the programs themselves would find wrong with them.
func (r *Report) configuration(w *World) {
	objects := w.Objects
	objects.Listens = r.Spec.BGPListenPort != nil
	_, problems := intent.Build(kubeview.Raw(objects), intent.Snapshot{})
	for _, u := range w.Unknown {
		r.add(Act, u.Object, "say what it does in another way", "%s: it has no effect here and is gone with the next edit", u.Text)
	}
	for _, name := range configured(w) {
		spoken := slices.ContainsFunc(w.Unknown, func(u UnknownField) bool { return u.Object == name })
		for _, p := range problems {
			if p.Object.String() != name {
				continue
			}
			spoken = true
			if p.Kind == intent.Invalid || p.Kind == intent.Conflict {
				r.add(Act, name, "correct it before", "is not used as it is: %s", p.Detail())
			} else {
				r.add(Note, name, "", "%s", p.Detail())
			}
		}
		if !spoken {
			r.add(Keep, name, "", "means what it meant")
		}
	}
	for _, name := range w.Elsewhere {
		r.add(Note, name, "", "is not in namespace %s and counts as little as before", w.Namespace)
	}
}

// configured names the objects that users write, by kind.
func configured(w *World) []string {
	var names []string
	add := func(kind, namespace, name string) {
		names = append(names, intent.ObjectRef{Kind: kind, Namespace: namespace, Name: name}.String())
	}
	o := &w.Objects
	for i := range o.Pools {
		add(intent.KindPool, o.Pools[i].Namespace, o.Pools[i].Name)
	}
	for i := range o.Peers {
		add(intent.KindPeer, o.Peers[i].Namespace, o.Peers[i].Name)
	}
	for i := range o.BGPAdvertisements {
		add(intent.KindBGPAdvertisement, o.BGPAdvertisements[i].Namespace, o.BGPAdvertisements[i].Name)
	}
	for i := range o.L2Advertisements {
		add(intent.KindL2Advertisement, o.L2Advertisements[i].Namespace, o.L2Advertisements[i].Name)
	}
	for i := range o.BFDProfiles {
		add(intent.KindBFDProfile, o.BFDProfiles[i].Namespace, o.BFDProfiles[i].Name)
	}
	for i := range o.Communities {
		add(intent.KindCommunity, o.Communities[i].Namespace, o.Communities[i].Name)
	}
	for i := range o.Extras {
		add(intent.KindConfigMap, o.Extras[i].Namespace, o.Extras[i].Name)
	}
	return names
}

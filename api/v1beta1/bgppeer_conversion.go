package v1beta1

import "github.com/seed-551707bd/metallb-operator/api/v1beta2"

// ToV1beta2 returns the peer as v1beta2 holds it. Both versions have the same
// fields, which the type conversions below make the compiler check, so nothing
// is lost and what is unset stays unset.
func (p *BGPPeer) ToV1beta2() *v1beta2.BGPPeer {
	own := p.DeepCopy()
	out := &v1beta2.BGPPeer{
		TypeMeta:   own.TypeMeta,
		ObjectMeta: own.ObjectMeta,
		Spec:       v1beta2.BGPPeerSpec(own.Spec),
		Status:     v1beta2.BGPPeerStatus(own.Status),
	}
	if out.APIVersion != "" {
		out.APIVersion = v1beta2.GroupVersion.String()
	}
	return out
}

// BGPPeerFromV1beta2 returns the peer as v1beta1 holds it. It is the inverse of
// ToV1beta2.
func BGPPeerFromV1beta2(peer *v1beta2.BGPPeer) *BGPPeer {
	own := peer.DeepCopy()
	out := &BGPPeer{
		TypeMeta:   own.TypeMeta,
		ObjectMeta: own.ObjectMeta,
		Spec:       BGPPeerSpec(own.Spec),
		Status:     BGPPeerStatus(own.Status),
	}
	if out.APIVersion != "" {
		out.APIVersion = GroupVersion.String()
	}
	return out
}

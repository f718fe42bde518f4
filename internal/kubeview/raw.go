package kubeview

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// Raw returns what users wrote in o as plain values, unjudged. Objects that are being deleted count until they are gone.
func Raw(o Objects) intent.Raw {
	return intent.Raw{
		Namespace:         o.Namespace,
		Listens:           o.Listens,
		Pools:             each(o.Pools, rawPool),
		Peers:             each(o.Peers, rawPeer),
		BGPAdvertisements: each(o.BGPAdvertisements, rawBGPAdvertisement),
		L2Advertisements:  each(o.L2Advertisements, rawL2Advertisement),
		BFDProfiles:       each(o.BFDProfiles, rawBFDProfile),
		Communities:       each(o.Communities, rawCommunity),
		Reservations:      each(o.Reservations, rawReservation),
		Quotas:            each(o.Quotas, rawQuota),
		Snippets:          each(o.Snippets, rawSnippet),
		Extras:            each(o.Extras, rawExtras),
		Secrets:           each(o.Secrets, rawSecret),
		Nodes:             each(o.Nodes, rawNode),
	}
}

// each converts a list, keeping nil nil.
func each[From, To any](list []From, convert func(*From) To) []To {
	if list == nil {
		return nil
	}
	out := make([]To, len(list))
	for i := range list {
		out[i] = convert(&list[i])
	}
	return out
}

func meta(o *metav1.ObjectMeta) intent.Meta {
	return intent.Meta{
		Namespace:  o.Namespace,
		Name:       o.Name,
		UID:        string(o.UID),
		Generation: o.Generation,
		Created:    o.CreationTimestamp.Time,
		Labels:     o.Labels,
	}
}

func rawSelectors(list []metav1.LabelSelector) []intent.RawSelector { return each(list, rawSelector) }

func rawSelector(s *metav1.LabelSelector) intent.RawSelector {
	parsed, err := Selector(s)
	if err != nil {
		return intent.RawSelector{Err: err.Error()}
	}
	return intent.RawSelector{Selector: parsed}
}

func rawPool(p *v1beta1.IPAddressPool) intent.RawPool {
	raw := intent.RawPool{
		Meta:            meta(&p.ObjectMeta),
		Addresses:       p.Spec.Addresses,
		AutoAssign:      p.Spec.AutoAssign == nil || *p.Spec.AutoAssign,
		AvoidBuggyIPs:   p.Spec.AvoidBuggyIPs,
		Disabled:        p.Spec.Disabled,
		ConflictCheck:   string(p.Spec.ConflictCheck),
		AllowDisruption: p.Annotations[v1beta1.AnnotationAllowDisruption],
	}
	if a := p.Spec.ServiceAllocation; a != nil {
		raw.Allocation = &intent.RawAllocation{
			Priority:           a.Priority,
			Namespaces:         a.Namespaces,
			NamespaceSelectors: rawSelectors(a.NamespaceSelectors),
			ServiceSelectors:   rawSelectors(a.ServiceSelectors),
			Strict:             a.Strict,
		}
	}
	return raw
}

func rawReservation(r *v1beta1.IPReservation) intent.RawReservation {
	s := &r.Spec
	raw := intent.RawReservation{
		Meta:              meta(&r.ObjectMeta),
		TargetNamespace:   s.Namespace,
		ServiceName:       s.ServiceName,
		Addresses:         s.Addresses,
		Pool:              s.Pool,
		IPFamilies:        each(s.IPFamilies, func(f *v1beta1.IPFamily) string { return string(*f) }),
		RetainAfterDelete: s.RetainAfterDelete,
	}
	if s.ServiceSelector != nil {
		raw.ServiceSelector = new(rawSelector(s.ServiceSelector))
	}
	return raw
}

func rawQuota(q *v1beta1.AddressQuota) intent.RawQuota {
	s := &q.Spec
	return intent.RawQuota{
		Meta:               meta(&q.ObjectMeta),
		Namespaces:         s.Namespaces,
		NamespaceSelectors: rawSelectors(s.NamespaceSelectors),
		Pools:              s.Pools,
		IPv4:               s.IPv4,
		IPv6:               s.IPv6,
	}
}

func rawPeer(p *v1beta2.BGPPeer) intent.RawPeer {
	s := &p.Spec
	return intent.RawPeer{
		Meta:                    meta(&p.ObjectMeta),
		MyASN:                   s.MyASN,
		PeerASN:                 s.PeerASN,
		LocalASN:                s.LocalASN,
		DynamicASN:              string(s.DynamicASN),
		PeerAddress:             s.PeerAddress,
		Interface:               s.Interface,
		ListenRange:             s.ListenRange,
		ListenLimit:             s.ListenLimit,
		SourceAddress:           s.SourceAddress,
		SourceAddresses:         each(s.SourceAddresses, rawNodeSource),
		SourceInterface:         s.SourceInterface,
		PeerPort:                s.PeerPort,
		HoldTime:                duration(s.HoldTime),
		KeepaliveTime:           duration(s.KeepaliveTime),
		ConnectTime:             duration(s.ConnectTime),
		RouterID:                s.RouterID,
		NodeSelectors:           rawSelectors(s.NodeSelectors),
		Password:                intent.NewSecret(s.Password),
		PasswordSecret:          s.PasswordSecret.Name,
		PasswordSecretNamespace: s.PasswordSecret.Namespace,
		BFDProfile:              s.BFDProfile,
		EnableGracefulRestart:   s.EnableGracefulRestart,
		EBGPMultiHop:            s.EBGPMultiHop,
		EBGPMultiHopTTL:         s.EBGPMultiHopTTL,
		TTLSecurityHops:         s.TTLSecurityHops,
		ToReceive:               rawReceive(s.ToReceive),
		VRF:                     s.VRF,
		DualStackAddressFamily:  s.DualStackAddressFamily,
		DisableMP:               s.DisableMP, //nolint:staticcheck // it is deprecated for users; it is read to tell them so
	}
}

func rawNodeSource(s *v1beta2.NodeSource) intent.RawNodeSource {
	raw := intent.RawNodeSource{NodeName: s.NodeName, Address: s.Address}
	if s.NodeSelector != nil {
		raw.NodeSelector = new(rawSelector(s.NodeSelector))
	}
	return raw
}

func rawReceive(r *v1beta2.Receive) *intent.RawReceive {
	if r == nil {
		return nil
	}
	return &intent.RawReceive{
		Mode: string(r.Allowed.Mode),
		Prefixes: each(r.Allowed.Prefixes, func(p *v1beta2.ReceivePrefix) intent.RawReceivePrefix {
			return intent.RawReceivePrefix{Prefix: p.Prefix, GE: p.GE, LE: p.LE}
		}),
	}
}

func duration(d *metav1.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	return &d.Duration
}

func rawBGPAdvertisement(a *v1beta1.BGPAdvertisement) intent.RawBGPAdvertisement {
	s := &a.Spec
	raw := intent.RawBGPAdvertisement{
		Meta:                meta(&a.ObjectMeta),
		AggregationLength:   s.AggregationLength,
		AggregationLengthV6: s.AggregationLengthV6,
		LocalPref:           s.LocalPref,
		ASPathPrepend:       s.ASPathPrepend,
		MED:                 s.MED,
		Communities:         s.Communities,
		ExtCommunities:      s.ExtCommunities,
		Pools:               s.IPAddressPools,
		PoolSelectors:       rawSelectors(s.IPAddressPoolSelectors),
		NodeSelectors:       rawSelectors(s.NodeSelectors),
		ServiceSelectors:    rawSelectors(s.ServiceSelectors),
		Peers:               s.Peers,
	}
	if s.LinkBandwidth != nil {
		raw.LinkBandwidth = &s.LinkBandwidth.PerEndpoint
	}
	if o := s.ServiceOverrides; o != nil {
		raw.Overrides = &intent.RawOverrides{
			Communities: o.Communities, MaxASPathPrepend: o.MaxASPathPrepend, MED: rawRange(o.MED), LocalPref: rawRange(o.LocalPref),
		}
	}
	return raw
}

func rawRange(r *v1beta1.AttributeRange) *intent.RawRange {
	if r == nil {
		return nil
	}
	return &intent.RawRange{Min: r.Min, Max: r.Max}
}

func rawL2Advertisement(a *v1beta1.L2Advertisement) intent.RawL2Advertisement {
	s := &a.Spec
	return intent.RawL2Advertisement{
		Meta:             meta(&a.ObjectMeta),
		Pools:            s.IPAddressPools,
		PoolSelectors:    rawSelectors(s.IPAddressPoolSelectors),
		NodeSelectors:    rawSelectors(s.NodeSelectors),
		ServiceSelectors: rawSelectors(s.ServiceSelectors),
		Interfaces:       s.Interfaces,
		Placement:        string(s.Placement),
		Preferences: each(s.PreferredNodeSelectors, func(p *v1beta1.PreferredNode) intent.RawNodePreference {
			return intent.RawNodePreference{Weight: p.Weight, Selector: rawSelector(&p.Preference)}
		}),
	}
}

func rawBFDProfile(b *v1beta1.BFDProfile) intent.RawBFDProfile {
	s := &b.Spec
	return intent.RawBFDProfile{
		Meta:             meta(&b.ObjectMeta),
		ReceiveInterval:  s.ReceiveInterval,
		TransmitInterval: s.TransmitInterval,
		EchoInterval:     s.EchoInterval,
		DetectMultiplier: s.DetectMultiplier,
		MinimumTTL:       s.MinimumTTL,
		EchoMode:         s.EchoMode != nil && *s.EchoMode,
		PassiveMode:      s.PassiveMode != nil && *s.PassiveMode,
	}
}

func rawCommunity(c *v1beta1.Community) intent.RawCommunity {
	return intent.RawCommunity{
		Meta: meta(&c.ObjectMeta),
		Aliases: each(c.Spec.Communities, func(a *v1beta1.CommunityAlias) intent.RawAlias {
			return intent.RawAlias{Name: a.Name, Value: a.Value}
		}),
	}
}

func rawSnippet(s *v1beta1.FRRSnippet) intent.RawSnippet {
	return intent.RawSnippet{
		Meta: meta(&s.ObjectMeta), NodeSelectors: rawSelectors(s.Spec.NodeSelectors), Priority: s.Spec.Priority, RawConfig: s.Spec.RawConfig,
	}
}

func rawExtras(m *corev1.ConfigMap) intent.RawExtras {
	return intent.RawExtras{Meta: meta(&m.ObjectMeta), Extras: m.Data[v1beta1.ExtrasConfigMapKey]}
}

func rawSecret(s *corev1.Secret) intent.RawSecret {
	password, has := s.Data[v1beta1.PasswordSecretKey]
	return intent.RawSecret{
		Meta:        meta(&s.ObjectMeta),
		Type:        string(s.Type),
		Password:    intent.NewSecret(string(password)),
		HasPassword: has,
	}
}

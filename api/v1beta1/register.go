package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind of this project.
const GroupName = "metallb.io"

// GroupVersion is the group and version of the types of this package.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1beta1"}

// AddToScheme teaches scheme the kinds of metallb.io/v1beta1.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&AddressProbe{}, &AddressProbeList{},
		&AddressQuota{}, &AddressQuotaList{},
		&BFDProfile{}, &BFDProfileList{},
		&BGPAdvertisement{}, &BGPAdvertisementList{},
		&BGPPeer{}, &BGPPeerList{},
		&BGPSessionState{}, &BGPSessionStateList{},
		&Community{}, &CommunityList{},
		&ConfigurationState{}, &ConfigurationStateList{},
		&FRRSnippet{}, &FRRSnippetList{},
		&IPReservation{}, &IPReservationList{},
		&IPAddressPool{}, &IPAddressPoolList{},
		&L2Advertisement{}, &L2AdvertisementList{},
		&MetalLB{}, &MetalLBList{},
		&ServiceBGPStatus{}, &ServiceBGPStatusList{},
		&ServiceL2Status{}, &ServiceL2StatusList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

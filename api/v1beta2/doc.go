// Package v1beta2 holds the version of BGPPeer that is stored. The other kinds
// of the group metallb.io live in v1beta1.
//
// +kubebuilder:object:generate=true
// +groupName=metallb.io
package v1beta2

// Package v1beta1 holds the kinds of the group metallb.io, except the stored
// version of BGPPeer, which is in v1beta2; with them the names that are part of
// the API without being fields: condition types and reasons, annotation and
// label keys.
//
// +kubebuilder:object:generate=true
// +groupName=metallb.io
package v1beta1

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServiceAllocation limits a pool to some Services. A Service may use the pool
// when its namespace is listed or selected, and it is itself selected; a
// selector that is not given selects everything.
type ServiceAllocation struct {
	// priority orders the pools that a Service may use: the lowest number is
	// tried first, 0 (or unset) last.
	// +optional
	Priority int `json:"priority,omitempty"`

	// namespaces are the names of namespaces whose Services may use the pool.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.size() > 256 || self.all(x, self.exists_one(y, y == x))",message="spec.serviceAllocation.namespaces names a namespace more than once"
	Namespaces []string `json:"namespaces,omitempty"`

	// namespaceSelectors select, by label, more namespaces whose Services may
	// use the pool.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	NamespaceSelectors []metav1.LabelSelector `json:"namespaceSelectors,omitempty"`

	// serviceSelectors select, by label, the Services that may use the pool;
	// any one of them is enough.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`

	// strict makes the pool a fence: a Service that may use the pool gets
	// addresses only of pools whose serviceAllocation admits it, also when it
	// asks for a pool or an address by name. Without strict such a Service falls
	// back on the pools without serviceAllocation. What it has it keeps.
	// +optional
	Strict bool `json:"strict,omitempty"`
}

// ConflictCheck says what is looked at before an address is given away.
//
// +kubebuilder:validation:Enum=None;Known;Probe
type ConflictCheck string

// The conflict checks.
const (
	// ConflictCheckNone gives away addresses unseen, as MetalLB does.
	ConflictCheckNone ConflictCheck = "None"
	// ConflictCheckKnown leaves out the addresses of nodes and of the routers
	// that BGPPeers name.
	ConflictCheckKnown ConflictCheck = "Known"
	// ConflictCheckProbe also asks on the network of the address whether anybody
	// has it.
	ConflictCheckProbe ConflictCheck = "Probe"
)

// IPAddressPoolSpec is the set of addresses of a pool and who may have them.
type IPAddressPoolSpec struct {
	// addresses are the blocks of addresses of the pool, used in this order
	// and each from its lowest address. A block is a prefix (192.0.2.0/24,
	// 2001:db8::/120) or a range of first and last address
	// (192.0.2.10-192.0.2.20); a single address is written 192.0.2.7/32. Both
	// families may be mixed. Blocks must not overlap those of other pools.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=96
	// +kubebuilder:validation:items:XValidation:rule="self.contains('-') ? isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim()) && self.substring(0, self.indexOf('-')).contains(':') == self.substring(self.indexOf('-')).contains(':') : isCIDR(self)",message="must be a prefix such as 192.0.2.0/24 or a range of one address family such as 192.0.2.10-192.0.2.20",messageExpression="'found ' + self + ': it must be a prefix such as 192.0.2.0/24 or a range of one address family such as 192.0.2.10-192.0.2.20'"
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('-') || self.contains(':') || !isIP(self.substring(0, self.indexOf('-')).trim()) || !isIP(self.substring(self.indexOf('-') + 1).trim()) || int(self.substring(0, self.indexOf('-')).trim().split('.')[0]) * 16777216 + int(self.substring(0, self.indexOf('-')).trim().split('.')[1]) * 65536 + int(self.substring(0, self.indexOf('-')).trim().split('.')[2]) * 256 + int(self.substring(0, self.indexOf('-')).trim().split('.')[3]) <= int(self.substring(self.indexOf('-') + 1).trim().split('.')[0]) * 16777216 + int(self.substring(self.indexOf('-') + 1).trim().split('.')[1]) * 65536 + int(self.substring(self.indexOf('-') + 1).trim().split('.')[2]) * 256 + int(self.substring(self.indexOf('-') + 1).trim().split('.')[3])",message="the first address of a range must not be above the last",messageExpression="'found ' + self + ': the first address of a range must not be above the last'"
	Addresses []string `json:"addresses"`

	// autoAssign gives the pool's addresses to Services that do not ask for
	// any pool or address. False keeps them for Services that name the pool or
	// one of its addresses.
	// +optional
	// +kubebuilder:default=true
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// avoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255, which
	// some old network equipment mistakes for broadcast addresses.
	// +optional
	// +kubebuilder:default=false
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`

	// serviceAllocation limits the pool to some namespaces or Services and
	// ranks it among the pools they may use. Unset means all Services.
	// +optional
	ServiceAllocation *ServiceAllocation `json:"serviceAllocation,omitempty"`

	// disabled drains the pool: the Services that have an address of it keep it,
	// and nobody gets a new one, also not on request.
	// +optional
	Disabled bool `json:"disabled,omitempty"`

	// conflictCheck is what is looked at before an address of the pool is given
	// to a Service. None: nothing. Known: the addresses of nodes and of the
	// routers that BGPPeers name are left out. Probe: that, and a speaker on the
	// network of the address asks whether anybody has it already (RFC 5227,
	// RFC 4862), which takes about a second.
	// +optional
	// +kubebuilder:default=None
	ConflictCheck ConflictCheck `json:"conflictCheck,omitempty"`
}

// IPAddressPoolStatus counts the addresses of a pool and tells what became of
// it.
type IPAddressPoolStatus struct {
	// assignedIPv4 is the number of IPv4 addresses in use.
	// +required
	AssignedIPv4 int64 `json:"assignedIPv4"`
	// assignedIPv6 is the number of IPv6 addresses in use.
	// +required
	AssignedIPv6 int64 `json:"assignedIPv6"`
	// availableIPv4 is the number of IPv4 addresses still free.
	// +required
	AvailableIPv4 int64 `json:"availableIPv4"`
	// availableIPv6 is the number of IPv6 addresses still free. A number too
	// large for 63 bits is given as 9223372036854775807.
	// +required
	AvailableIPv6 int64 `json:"availableIPv6"`

	// assignedServices is the number of Services that have an address of the
	// pool.
	// +optional
	AssignedServices int64 `json:"assignedServices,omitempty"`

	// conditions say whether the pool is valid and in force (Accepted) and
	// whether none of the addresses that were to be given away was found in use
	// by a stranger (ConflictFree).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// IPAddressPool is a set of addresses that may be given to Services of type
// LoadBalancer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Auto Assign",type=boolean,JSONPath=`.spec.autoAssign`
// +kubebuilder:printcolumn:name="Avoid Buggy IPs",type=boolean,JSONPath=`.spec.avoidBuggyIPs`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name="Disabled",type=boolean,JSONPath=`.spec.disabled`,priority=1
// +kubebuilder:printcolumn:name="Conflict Check",type=string,JSONPath=`.spec.conflictCheck`,priority=1
// +kubebuilder:printcolumn:name="Services",type=integer,JSONPath=`.status.assignedServices`,priority=1
// +kubebuilder:printcolumn:name="Used IPv4",type=integer,JSONPath=`.status.assignedIPv4`,priority=1
// +kubebuilder:printcolumn:name="Free IPv4",type=integer,JSONPath=`.status.availableIPv4`,priority=1
// +kubebuilder:printcolumn:name="Used IPv6",type=integer,JSONPath=`.status.assignedIPv6`,priority=1
// +kubebuilder:printcolumn:name="Free IPv6",type=integer,JSONPath=`.status.availableIPv6`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,priority=1
type IPAddressPool struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the addresses and who may have them.
	// +required
	Spec IPAddressPoolSpec `json:"spec"`
	// status is written by the project's programs only.
	// +optional
	Status IPAddressPoolStatus `json:"status,omitzero"`
}

// IPAddressPoolList is a list of IPAddressPool.
//
// +kubebuilder:object:root=true
type IPAddressPoolList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []IPAddressPool `json:"items"`
}

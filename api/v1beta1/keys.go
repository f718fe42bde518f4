package v1beta1

// Prefixes of annotation keys. A key under AnnotationPrefix wins over the same
// key under DeprecatedAnnotationPrefix, which old manifests still carry.
const (
	AnnotationPrefix           = "metallb.io/"
	DeprecatedAnnotationPrefix = "metallb.universe.tf/"
)

// Annotations of Services.
const (
	// AnnotationAddressPool names the IPAddressPool to allocate from; it also
	// reaches pools with autoAssign false.
	AnnotationAddressPool           = AnnotationPrefix + "address-pool"
	DeprecatedAnnotationAddressPool = DeprecatedAnnotationPrefix + "address-pool"

	// AnnotationLoadBalancerIPs lists the wanted addresses, separated by commas:
	// at most one IPv4 and one IPv6 address.
	AnnotationLoadBalancerIPs           = AnnotationPrefix + "loadBalancerIPs"
	DeprecatedAnnotationLoadBalancerIPs = DeprecatedAnnotationPrefix + "loadBalancerIPs"

	// AnnotationAllowSharedIP is the sharing key: Services with the same key
	// and different ports may have the same address.
	AnnotationAllowSharedIP           = AnnotationPrefix + "allow-shared-ip"
	DeprecatedAnnotationAllowSharedIP = DeprecatedAnnotationPrefix + "allow-shared-ip"

	// AnnotationBGPCommunities, AnnotationBGPASPathPrepend, AnnotationBGPMED and
	// AnnotationBGPLocalPref are what a Service asks of its BGP routes, within
	// spec.serviceOverrides of the BGPAdvertisements that announce it.
	AnnotationBGPCommunities   = AnnotationPrefix + "bgp-communities"
	AnnotationBGPASPathPrepend = AnnotationPrefix + "bgp-as-path-prepend"
	AnnotationBGPMED           = AnnotationPrefix + "bgp-med"
	AnnotationBGPLocalPref     = AnnotationPrefix + "bgp-local-pref"

	// AnnotationShareWith limits the namespaces whose Services may share the
	// address: names separated by commas, or * for all, which is also what is
	// meant without it. The Service's own namespace always may.
	AnnotationShareWith = AnnotationPrefix + "share-with"

	// AnnotationExternalIPsCount is how many addresses of each of its families
	// the Service wants, 1 to 64. The second key is that of Deckhouse.
	AnnotationExternalIPsCount          = AnnotationPrefix + "l2-external-ips-count"
	AnnotationDeckhouseExternalIPsCount = "network.deckhouse.io/l2-load-balancer-external-ips-count"

	// AnnotationAllocatedFromPool names the IPAddressPool that owns the
	// Service's address. Written by the controller.
	AnnotationAllocatedFromPool           = AnnotationPrefix + "ip-allocated-from-pool"
	DeprecatedAnnotationAllocatedFromPool = DeprecatedAnnotationPrefix + "ip-allocated-from-pool"
)

// AnnotationAllowDisruption on an object of metallb.io, or on a Secret that a
// BGPPeer names, lets the next edit or the deletion of it take live addresses
// away or leave other objects without what they name. Its value is the
// metadata.generation of the object that is edited or deleted (of a Secret:
// "true"), so that it lets one edit pass and not those after it.
const AnnotationAllowDisruption = AnnotationPrefix + "allow-disruption"

// Labels of the status objects that the speakers and the controller write.
const (
	// LabelNode is the node a ServiceL2Status, ServiceBGPStatus or
	// BGPSessionState speaks about.
	LabelNode = "metallb.io/node"
	// LabelServiceName is the name of the Service a status object speaks about.
	LabelServiceName = "metallb.io/service-name"
	// LabelServiceNamespace is that Service's namespace.
	LabelServiceNamespace = "metallb.io/service-namespace"
	// LabelPeer is the router a BGPSessionState speaks about.
	LabelPeer = "metallb.io/peer"
	// LabelVRF is the VRF of the session a BGPSessionState speaks about.
	LabelVRF = "metallb.io/vrf"
	// LabelComponentType is the program that wrote a ConfigurationState:
	// ComponentController or ComponentSpeaker.
	LabelComponentType = "metallb.io/component-type"
	// LabelNodeName is the node of the speaker that wrote a ConfigurationState.
	LabelNodeName = "metallb.io/node-name"
)

// Values of LabelComponentType. ComponentController is also the name of the
// controller's ConfigurationState; a speaker's is ComponentSpeaker, a hyphen
// and the name of its node.
const (
	ComponentController = "controller"
	ComponentSpeaker    = "speaker"
)

// NodeLabelExcludeBalancers on a node, with any value, keeps it from announcing
// anything. The key belongs to Kubernetes.
const NodeLabelExcludeBalancers = "node.kubernetes.io/exclude-from-external-load-balancers"

// PasswordSecretKey is the key of a BGPPeer's passwordSecret under which the
// password lies, as in every Secret of type kubernetes.io/basic-auth.
const PasswordSecretKey = "password"

// MetalLBName is the only name under which a MetalLB object is acted upon.
const MetalLBName = "metallb"

// NodeAnnotationDrain on a node, with the value "true", asks its speaker to
// drain the node, where the MetalLB object says that DrainRequested counts.
const NodeAnnotationDrain = AnnotationPrefix + "drain"

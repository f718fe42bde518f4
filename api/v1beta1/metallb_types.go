package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogLevel is how much a program logs; each level includes the ones after it.
//
// +kubebuilder:validation:Enum=all;debug;info;warn;error;none
type LogLevel string

const (
	// LogLevelAll logs everything.
	LogLevelAll LogLevel = "all"
	// LogLevelDebug logs what helps to trace a fault.
	LogLevelDebug LogLevel = "debug"
	// LogLevelInfo logs what changed. The default.
	LogLevelInfo LogLevel = "info"
	// LogLevelWarn logs what may need attention.
	LogLevelWarn LogLevel = "warn"
	// LogLevelError logs what failed.
	LogLevelError LogLevel = "error"
	// LogLevelNone logs nothing.
	LogLevelNone LogLevel = "none"
)

// BGPBackend is an implementation of BGP.
//
// +kubebuilder:validation:Enum="";native;frr;frr-k8s;frr-k8s-external
type BGPBackend string

const (
	// BGPBackendNative is BGP inside the speaker.
	BGPBackendNative BGPBackend = "native"
	// BGPBackendFRR is FRR in a sidecar of the speaker.
	BGPBackendFRR BGPBackend = "frr"
	// BGPBackendFRRK8s is the frr-k8s daemon, deployed by the operator.
	BGPBackendFRRK8s BGPBackend = "frr-k8s"
	// BGPBackendFRRK8sExternal is an frr-k8s daemon that is already there.
	BGPBackendFRRK8sExternal BGPBackend = "frr-k8s-external"
)

// NodeImpairment is something about a node that may make it a bad place for
// addresses while its speaker runs, on layer 2 and for BGP alike.
//
// +kubebuilder:validation:Enum=NotReady;OutOfService;Unschedulable;ShuttingDown;DrainRequested
type NodeImpairment string

const (
	// NodeNotReady is a node whose condition Ready is not True.
	NodeNotReady NodeImpairment = "NotReady"
	// NodeOutOfService is a node with the taint
	// node.kubernetes.io/out-of-service.
	NodeOutOfService NodeImpairment = "OutOfService"
	// NodeUnschedulable is a node that was cordoned.
	NodeUnschedulable NodeImpairment = "Unschedulable"
	// NodeShuttingDown is a node whose kubelet says that it is being shut down,
	// which it does where its graceful node shutdown is configured.
	NodeShuttingDown NodeImpairment = "ShuttingDown"
	// NodeDrainRequested is a node with the annotation metallb.io/drain: "true".
	NodeDrainRequested NodeImpairment = "DrainRequested"
)

// Fencing is when a speaker that has lost sight of others stops to answer for
// layer 2 addresses.
//
// +kubebuilder:validation:Enum=Proven;Strict;Never
type Fencing string

const (
	// FencingProven stops it where the API server shows that the others live
	// and are more than it can see. The default.
	FencingProven Fencing = "Proven"
	// FencingStrict stops it at once unless it sees more than half of all
	// speakers.
	FencingStrict Fencing = "Strict"
	// FencingNever never stops it.
	FencingNever Fencing = "Never"
)

// PodConfig adjusts the pods of one program.
type PodConfig struct {
	// priorityClassName is the PriorityClass of the pods.
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// runtimeClassName is the RuntimeClass of the pods.
	// +optional
	RuntimeClassName string `json:"runtimeClassName,omitempty"`

	// affinity attracts the pods to nodes and to or away from other pods.
	// Weights are 1 to 100.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.nodeAffinity) || !has(self.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution) || self.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution.all(t, t.weight >= 1 && t.weight <= 100)",message="weights of nodeAffinity must be 1 to 100"
	// +kubebuilder:validation:XValidation:rule="!has(self.podAffinity) || !has(self.podAffinity.preferredDuringSchedulingIgnoredDuringExecution) || self.podAffinity.preferredDuringSchedulingIgnoredDuringExecution.all(t, t.weight >= 1 && t.weight <= 100)",message="weights of podAffinity must be 1 to 100"
	// +kubebuilder:validation:XValidation:rule="!has(self.podAntiAffinity) || !has(self.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution) || self.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.all(t, t.weight >= 1 && t.weight <= 100)",message="weights of podAntiAffinity must be 1 to 100"
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// annotations are added to the pods.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// labels are added to the pods. The labels app and component are the
	// operator's.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!('app' in self) && !('component' in self)",message="labels must not hold app or component: by these the operator finds the pods"
	Labels map[string]string `json:"labels,omitempty"`

	// resources are the requests and limits of the program's container.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
}

// FRRK8sConfig is for the backends frr-k8s and frr-k8s-external.
type FRRK8sConfig struct {
	// alwaysBlock are prefixes that are never accepted from any router, for
	// example 10.0.0.0/8.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a prefix such as 10.0.0.0/8",messageExpression="'found ' + self + ': it must be a prefix such as 10.0.0.0/8'"
	AlwaysBlock []string `json:"alwaysBlock,omitempty"`

	// namespace is where the frr-k8s daemon runs. Required for the backend
	// frr-k8s-external.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// secretPassthrough hands password Secrets to frr-k8s by name instead of
	// copying the passwords.
	// +optional
	SecretPassthrough bool `json:"secretPassthrough,omitempty"`
}

// MetalLBSpec is the wanted installation.
//
// +kubebuilder:validation:XValidation:rule="!has(self.bgpBackend) || self.bgpBackend != 'frr-k8s-external' || (has(self.frrk8sConfig) && has(self.frrk8sConfig.namespace) && size(self.frrk8sConfig.namespace) > 0)",message="spec.bgpBackend is frr-k8s-external but spec.frrk8sConfig.namespace is empty: name the namespace where frr-k8s runs"
type MetalLBSpec struct {
	// image has no effect and is kept so that existing objects stay valid.
	//
	// Deprecated: images are set on the operator.
	// +optional
	Image string `json:"image,omitempty"`

	// nodeSelector is the labels a node must have to run a speaker. Empty
	// means every Linux node.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// speakerTolerations let speakers run on tainted nodes, in addition to
	// control-plane nodes. tolerationSeconds is for effect NoExecute only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="self.all(t, !has(t.tolerationSeconds) || (has(t.effect) && t.effect == 'NoExecute'))",message="spec.speakerTolerations: tolerationSeconds is only allowed where effect is NoExecute"
	SpeakerTolerations []corev1.Toleration `json:"speakerTolerations,omitempty"`

	// logLevel is how much controller and speakers log: all, debug, info,
	// warn, error or none. Unset means info.
	// +optional
	LogLevel LogLevel `json:"logLevel,omitempty"`

	// loadBalancerClass limits the installation to Services with this
	// spec.loadBalancerClass, for example example.com/bare-metal. Unset means
	// Services without a class.
	// +optional
	// +kubebuilder:validation:Pattern=`^([a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?/)?[a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?$`
	LoadBalancerClass string `json:"loadBalancerClass,omitempty"`

	// loadBalancerClasses are more classes of Services to serve, beside
	// loadBalancerClass; to name all of them here is fine as well.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^([a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?/)?[a-z0-9A-Z]([\w.\-]*[a-z0-9A-Z])?$`
	LoadBalancerClasses []string `json:"loadBalancerClasses,omitempty"`

	// loadBalancerAlsoUnclassed serves the Services without a class beside those
	// of loadBalancerClass and loadBalancerClasses. Without any class it changes
	// nothing: then the Services without a class are the ones served.
	// +optional
	LoadBalancerAlsoUnclassed bool `json:"loadBalancerAlsoUnclassed,omitempty"`

	// controllerNodeSelector is the labels a node must have to run the
	// controller.
	// +optional
	ControllerNodeSelector map[string]string `json:"controllerNodeSelector,omitempty"`

	// controllerTolerations let the controller run on tainted nodes.
	// tolerationSeconds is for effect NoExecute only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="self.all(t, !has(t.tolerationSeconds) || (has(t.effect) && t.effect == 'NoExecute'))",message="spec.controllerTolerations: tolerationSeconds is only allowed where effect is NoExecute"
	ControllerTolerations []corev1.Toleration `json:"controllerTolerations,omitempty"`

	// controllerReplicas is how many controllers run. One of them works, the
	// others are ready to take over: within seconds where it is stopped in order,
	// within 15 s where it dies. Unset means 1. With more, a PodDisruptionBudget
	// lets one at a time be evicted, and they prefer different nodes unless
	// controllerConfig.affinity says otherwise.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	ControllerReplicas *int32 `json:"controllerReplicas,omitempty"`

	// controllerConfig adjusts the controller's pod.
	// +optional
	ControllerConfig *PodConfig `json:"controllerConfig,omitempty"`

	// speakerConfig adjusts the speakers' pods.
	// +optional
	SpeakerConfig *PodConfig `json:"speakerConfig,omitempty"`

	// frr says on which condition FRR runs beside the speakers: WhenNeeded or
	// Always. Unset means WhenNeeded.
	// +optional
	FRR FRRMode `json:"frr,omitempty"`

	// frrResources are the requests and limits of the container with FRR's
	// daemons. Unset requests what they take with some hundred routes, without
	// limits.
	// +optional
	FRRResources *corev1.ResourceRequirements `json:"frrResources,omitempty"`

	// reloaderResources are the requests and limits of the container that gives
	// FRR its configuration. Unset requests what it takes, without limits.
	// +optional
	ReloaderResources *corev1.ResourceRequirements `json:"reloaderResources,omitempty"`

	// imagePullSecrets name Secrets of the namespace by which the images of
	// controller and speakers are pulled.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// ports are those of the pods, where others than usual are wanted.
	// +optional
	Ports *Ports `json:"ports,omitempty"`

	// bgpBackend chooses the implementation of BGP: native, frr, frr-k8s or
	// frr-k8s-external. Unset means frr.
	// +optional
	BGPBackend BGPBackend `json:"bgpBackend,omitempty"`

	// frrk8sConfig is for the backends frr-k8s and frr-k8s-external.
	// +optional
	FRRK8sConfig *FRRK8sConfig `json:"frrk8sConfig,omitempty"`

	// speakerGratuitousARPInterval repeats the gratuitous ARP and unsolicited
	// NDP announcements of layer 2 addresses at this interval, for example
	// 60s. Unset or 0s sends them only when an address moves.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) >= duration('0s')",message="spec.speakerGratuitousARPInterval must be a duration such as 60s",messageExpression="'spec.speakerGratuitousARPInterval is ' + self + ': it must be a duration such as 60s'"
	SpeakerGratuitousARPInterval *metav1.Duration `json:"speakerGratuitousARPInterval,omitempty"`

	// layer2ExcludeNodes are conditions in which a node answers only for those
	// layer 2 addresses that no other node can answer for: NotReady,
	// OutOfService (the taint node.kubernetes.io/out-of-service),
	// Unschedulable (cordoned), ShuttingDown (the kubelet says so) and
	// DrainRequested (the annotation metallb.io/drain: "true"). Unset means
	// none: a node answers as long as its speaker runs. BGP is not affected;
	// see bgpDrain.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	Layer2ExcludeNodes []NodeImpairment `json:"layer2ExcludeNodes,omitempty"`

	// layer2ExcludeInterfaces are regular expressions (Go's) for names of links
	// that layer 2 never uses, for example ^storage[0-9]+$; without ^ and $ they
	// match anywhere in the name. The list takes the place of the usual one, so
	// begin with that (see the documentation), and of the ConfigMap
	// metallb-excludel2, which is then not read. Unset means what that says, and
	// without it the links of container networks. Speakers follow changes within
	// two minutes.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Layer2ExcludeInterfaces []string `json:"layer2ExcludeInterfaces,omitempty"`

	// ignoreExcludeLB announces from nodes with the label
	// node.kubernetes.io/exclude-from-external-load-balancers as from others.
	// kubeadm gives it to control-plane nodes. Unset means false.
	// +optional
	IgnoreExcludeLB bool `json:"ignoreExcludeLB,omitempty"`

	// bgpDebounceTimeout has no effect and is accepted for those who set it with
	// MetalLB, where it is the time that changes wait for more before FRR is
	// reloaded. Here the first change is given to FRR at once, as commands that
	// disturb no session, and what comes in a burst is taken in steps of 100 ms.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) >= duration('0s')",message="spec.bgpDebounceTimeout must be a duration such as 3s"
	BGPDebounceTimeout *metav1.Duration `json:"bgpDebounceTimeout,omitempty"`

	// bgpDrain says in which conditions a node gives up its BGP routes in order,
	// and how. Unset means none: cordons and taints do nothing.
	// +optional
	BGPDrain *BGPDrain `json:"bgpDrain,omitempty"`

	// bgpShutdown says how BGP sessions end when the pod of a speaker is deleted:
	// by a rolling update, a shutdown of the node or by hand. Unset means in
	// order, after 5 seconds in which routers can choose other routes; sessions
	// with enableGracefulRestart are left to it.
	// +optional
	BGPShutdown *BGPShutdown `json:"bgpShutdown,omitempty"`

	// speakerUpdate says how the speakers are brought to another version, or to
	// other settings. Unset means Ordered, one node after the other.
	// +optional
	SpeakerUpdate *SpeakerUpdate `json:"speakerUpdate,omitempty"`

	// bgpListenPort is the TCP port on which the nodes accept BGP sessions that
	// routers open, for BGPPeers with listenRange; 179 is that of BGP. Unset
	// means that they accept none, so that another BGP daemon may have the port
	// on the network of the node. A change starts the speakers anew, one node
	// after the other, and with them all sessions of the node.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	BGPListenPort *int32 `json:"bgpListenPort,omitempty"`

	// memberlist adjusts the gossip by which speakers know who of them is
	// alive. Only layer 2 makes use of it.
	// +optional
	Memberlist *MemberlistConfig `json:"memberlist,omitempty"`

	// prometheus says what is made for Prometheus and Grafana: ServiceMonitors,
	// alerts and dashboards. Unset means all of it, where the cluster has the API
	// of the Prometheus operator.
	// +optional
	Prometheus *PrometheusConfig `json:"prometheus,omitempty"`
}

// MetalLBStatus is what became of the installation.
type MetalLBStatus struct {
	// conditions say whether the installation runs as asked (Available),
	// whether a change is being rolled out (Progressing), whether something is
	// wrong that does not mend by itself (Degraded) and whether the operator
	// may be upgraded now (Upgradeable).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// MetalLB is the installation of the load balancer in the namespace of the
// object: a controller and a speaker on every selected node. It must be named
// "metallb"; an object with another name is not acted upon and becomes Degraded
// with reason IncorrectMetalLBResourceName.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`
// +kubebuilder:printcolumn:name="Degraded",type=string,JSONPath=`.status.conditions[?(@.type=="Degraded")].status`
// +kubebuilder:printcolumn:name="Progressing",type=string,JSONPath=`.status.conditions[?(@.type=="Progressing")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MetalLB struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the wanted installation. An empty one is a good start.
	// +optional
	Spec MetalLBSpec `json:"spec,omitzero"`
	// status is written by the operator only.
	// +optional
	Status MetalLBStatus `json:"status,omitzero"`
}

// MetalLBList is a list of MetalLB.
//
// +kubebuilder:object:root=true
type MetalLBList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []MetalLB `json:"items"`
}

// Package cluster keeps what the speaker needs to know of the Kubernetes API at hand, in little memory, and gathers it into one view.
package cluster

import (
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// ConfigKinds are the kinds of metallb.io that make up the configuration.
func ConfigKinds() []client.Object {
	return []client.Object{
		&v1beta1.IPAddressPool{}, &v1beta2.BGPPeer{}, &v1beta1.BGPAdvertisement{}, &v1beta1.L2Advertisement{},
		&v1beta1.BFDProfile{}, &v1beta1.Community{}, &v1beta1.FRRSnippet{},
	}
}

// CacheOptions are those of a cache for a Cluster: the configuration, Secrets and one ConfigMap of one namespace and Nodes, each without the parts that
// nobody here reads. A speaker runs on every node and sees the whole cluster, so each byte kept is kept many times.
func CacheOptions(namespace string) cache.Options {
	ours := map[string]cache.Config{namespace: {}}
	byObject := map[client.Object]cache.ByObject{
		&corev1.Node{}:      {Transform: slimNode},
		&corev1.Secret{}:    {Transform: slimSecret, Namespaces: ours},
		&corev1.ConfigMap{}: {Transform: slimExtras, Namespaces: ours, Field: fields.OneTermEqualSelector("metadata.name", v1beta1.ExtrasConfigMap)},
	}
	for _, kind := range ConfigKinds() {
		byObject[kind] = cache.ByObject{Transform: slimConfig, Namespaces: ours}
	}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject:                    byObject,
	}
}

// slimMeta keeps of an object's metadata what names it and tells its versions apart.
func slimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp,
	}
}

func slimService(in any) (any, error) {
	s, ok := in.(*corev1.Service)
	if !ok {
		return in, nil
	}
	out := &corev1.Service{ObjectMeta: slimMeta(&s.ObjectMeta)}
	if out.Spec.Type = s.Spec.Type; s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return out, nil
	}
	out.Labels = s.Labels
	for key, value := range s.Annotations {
		switch key {
		case v1beta1.AnnotationAllowSharedIP, v1beta1.DeprecatedAnnotationAllowSharedIP:
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, key, value)
		case v1beta1.AnnotationBGPCommunities, v1beta1.AnnotationBGPASPathPrepend, v1beta1.AnnotationBGPMED, v1beta1.AnnotationBGPLocalPref:
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, key, intern(value)) // many Services ask for the same
		case v1beta1.AnnotationAllocatedFromPool, v1beta1.DeprecatedAnnotationAllocatedFromPool:
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, key, intern(value))
		}
	}
	out.Spec.LoadBalancerClass = s.Spec.LoadBalancerClass
	out.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicy(intern(string(s.Spec.ExternalTrafficPolicy)))
	for i := range s.Status.LoadBalancer.Ingress {
		out.Status.LoadBalancer.Ingress = append(out.Status.LoadBalancer.Ingress,
			corev1.LoadBalancerIngress{IP: s.Status.LoadBalancer.Ingress[i].IP})
	}
	return out, nil
}

// slimEndpointSlice keeps what tells how many endpoints serve and where; names of nodes, which repeat, are kept once.
func slimEndpointSlice(in any) (any, error) {
	s, ok := in.(*discoveryv1.EndpointSlice)
	if !ok {
		return in, nil
	}
	out := &discoveryv1.EndpointSlice{ObjectMeta: slimMeta(&s.ObjectMeta), AddressType: s.AddressType}
	if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
		out.Labels = map[string]string{discoveryv1.LabelServiceName: name}
	}
	out.Endpoints = make([]discoveryv1.Endpoint, len(s.Endpoints))
	for i := range s.Endpoints {
		from, to := &s.Endpoints[i], &out.Endpoints[i]
		to.Addresses = slices.Clip(from.Addresses[:min(1, len(from.Addresses))])
		to.Conditions = discoveryv1.EndpointConditions{Ready: shared(from.Conditions.Ready), Serving: shared(from.Conditions.Serving)}
		if from.NodeName != nil {
			to.NodeName = new(intern(*from.NodeName))
		}
		if r := from.TargetRef; r != nil {
			to.TargetRef = &corev1.ObjectReference{Kind: intern(r.Kind), Namespace: intern(r.Namespace), Name: r.Name}
		}
	}
	return out, nil
}

// slimNode keeps what kubeview.NodeInfo, kubeview.Impaired and kubeview.Draining look at. It is little, and kept whether or not it is asked
// for: a cache that did not have it would make every node look impaired.
func slimNode(in any) (any, error) {
	n, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	out := &corev1.Node{ObjectMeta: slimMeta(&n.ObjectMeta)}
	out.Labels = n.Labels
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeNetworkUnavailable || c.Type == corev1.NodeReady {
			out.Status.Conditions = append(out.Status.Conditions, corev1.NodeCondition{
				Type: corev1.NodeConditionType(intern(string(c.Type))), Status: corev1.ConditionStatus(intern(string(c.Status))),
				Message: intern(c.Message), LastTransitionTime: c.LastTransitionTime,
			})
		}
	}
	out.Spec.Unschedulable = n.Spec.Unschedulable
	for _, t := range n.Spec.Taints {
		out.Spec.Taints = append(out.Spec.Taints, corev1.Taint{Key: intern(t.Key), TimeAdded: t.TimeAdded})
	}
	if value, ok := n.Annotations[v1beta1.NodeAnnotationDrain]; ok {
		out.Annotations = map[string]string{v1beta1.NodeAnnotationDrain: value}
	}
	return out, nil
}

// slimSecret keeps only passwords: a Secret that is nobody's password stays a name.
func slimSecret(in any) (any, error) {
	s, ok := in.(*corev1.Secret)
	if !ok {
		return in, nil
	}
	out := &corev1.Secret{ObjectMeta: slimMeta(&s.ObjectMeta), Type: s.Type}
	if password, ok := s.Data[v1beta1.PasswordSecretKey]; ok {
		out.Data = map[string][]byte{v1beta1.PasswordSecretKey: password}
	}
	return out, nil
}

// slimExtras keeps only the raw configuration.
func slimExtras(in any) (any, error) {
	m, ok := in.(*corev1.ConfigMap)
	if !ok {
		return in, nil
	}
	out := &corev1.ConfigMap{ObjectMeta: slimMeta(&m.ObjectMeta)}
	if text, ok := m.Data[v1beta1.ExtrasConfigMapKey]; ok {
		out.Data = map[string]string{v1beta1.ExtrasConfigMapKey: text}
	}
	return out, nil
}

// slimConfig drops what is written about objects of the configuration rather than in them.
func slimConfig(in any) (any, error) {
	o, ok := in.(client.Object)
	if !ok {
		return in, nil
	}
	o.SetManagedFields(nil)
	o.SetAnnotations(nil)
	return o, nil
}

func intern(s string) string { return unique.Make(s).Value() }

// shared returns one of two pointers for all true and all false values, nil for nil.
func shared(b *bool) *bool {
	switch {
	case b == nil:
		return nil
	case *b:
		return &yes
	default:
		return &no
	}
}

// yes and no are never changed: objects in a cache are not.
var yes, no = true, false

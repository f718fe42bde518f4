package publish

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// statement is what the status of an object says: which node announces which Service, and a list of names besides.
type statement struct {
	node    string
	service ipam.ServiceKey
	// names are those of the peers or of the interfaces.
	names []string
	// sent is what routers were sent, by peer; only of bgpStatus.
	sent []delivery
}

// kind is a kind of status objects, of which a node writes one for each Service that it announces in one way.
type kind struct {
	// name is the kind's name, resource the one in the API's paths, prefix what the names of its objects begin with.
	name, resource, prefix string
	// empty returns a new object.
	empty func() client.Object
	// read returns what an object of the kind says, and status the status that says something.
	read   func(client.Object) statement
	status func(statement) any
}

// bgpStatus is the kind that tells to which peers a node announces a Service.
var bgpStatus = kind{
	name: "ServiceBGPStatus", resource: "servicebgpstatuses", prefix: "bgp-",
	empty: func() client.Object { return &v1beta1.ServiceBGPStatus{} },
	read: func(o client.Object) statement {
		s, ok := o.(*v1beta1.ServiceBGPStatus)
		if !ok {
			return statement{}
		}
		return statement{s.Status.Node, ipam.ServiceKey{Namespace: s.Status.ServiceNamespace, Name: s.Status.ServiceName}, s.Status.Peers, readDeliveries(s.Status.Sent)}
	},
	status: func(s statement) any {
		// As null, an empty list takes away what was there.
		return map[string]any{
			"node": s.node, "serviceName": s.service.Name, "serviceNamespace": s.service.Namespace, "peers": s.names, "sent": statusOf(s.sent),
		}
	},
}

// layer2Status is the kind that tells which node answers for a Service on layer 2.
var layer2Status = kind{
	name: "ServiceL2Status", resource: "servicel2statuses", prefix: "l2-",
	empty: func() client.Object { return &v1beta1.ServiceL2Status{} },
	read: func(o client.Object) statement {
		s, ok := o.(*v1beta1.ServiceL2Status)
		if !ok {
			return statement{}
		}
		var names []string
		for _, i := range s.Status.Interfaces {
			names = append(names, i.Name)
		}
		return statement{s.Status.Node, ipam.ServiceKey{Namespace: s.Status.ServiceNamespace, Name: s.Status.ServiceName}, names, nil}
	},
	status: func(s statement) any {
		var interfaces []v1beta1.InterfaceInfo
		for _, name := range s.names {
			interfaces = append(interfaces, v1beta1.InterfaceInfo{Name: name})
		}
		// As null, an empty list takes away what was there.
		return map[string]any{"node": s.node, "serviceName": s.service.Name, "serviceNamespace": s.service.Namespace, "interfaces": interfaces}
	},
}

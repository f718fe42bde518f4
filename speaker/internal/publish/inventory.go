package publish

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"unique"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// object is what matters of a status object that exists.
type object struct {
	name, resourceVersion string
	// service is the one that its labels name.
	service ipam.ServiceKey
	owner   types.UID
	says    statement
}

// objectOf keeps one copy of what many objects have in common.
func objectOf(o client.Object, says statement) object {
	intern := func(s string) string { return unique.Make(s).Value() }
	key := serviceOf(o)
	key.Namespace = intern(key.Namespace)
	out := object{name: o.GetName(), resourceVersion: o.GetResourceVersion(), service: key, says: says}
	out.says.node, out.says.service.Namespace = intern(says.node), intern(says.service.Namespace)
	if says.service.Name == key.Name {
		out.says.service.Name = key.Name
	}
	for i, name := range out.says.names {
		out.says.names[i] = intern(name)
	}
	for i := range out.says.sent {
		out.says.sent[i].peer = intern(out.says.sent[i].peer)
	}
	if owners := o.GetOwnerReferences(); len(owners) == 1 {
		out.owner = types.UID(intern(string(owners[0].UID)))
	}
	return out
}

// serviceOf returns the Service that an object's labels name.
func serviceOf(o client.Object) ipam.ServiceKey {
	labels := o.GetLabels()
	return ipam.ServiceKey{Namespace: labels[v1beta1.LabelServiceNamespace], Name: labels[v1beta1.LabelServiceName]}
}

// inventory is the status objects of one kind and of this node as the API has them: as its watch tells, or as the answer to a write told
// earlier.
type inventory struct {
	mu     sync.Mutex
	byName map[string]object
	// gone are those that were deleted here, until the watch tells so: it may first tell what they were before. Names do not come back.
	gone map[string]bool
}

func newInventory() *inventory {
	return &inventory{byName: map[string]object{}, gone: map[string]bool{}}
}

// store takes in a state of an object unless a newer one is known.
func (i *inventory) store(o object) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.gone[o.name] {
		return
	}
	if have, ok := i.byName[o.name]; ok {
		if order, err := resourceversion.CompareResourceVersion(have.resourceVersion, o.resourceVersion); err == nil && order >= 0 {
			return
		}
	}
	i.byName[o.name] = o
}

// remove takes in that the watch has told that an object is deleted.
func (i *inventory) remove(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.byName, name)
	delete(i.gone, name)
}

// deleted takes in that an object was deleted, or found to be, before the watch has told so.
func (i *inventory) deleted(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.byName[name]; ok {
		delete(i.byName, name)
		i.gone[name] = true
	}
}

// retain removes what is not among the names that exist as of a resource version, but for what was written since.
func (i *inventory) retain(exist map[types.NamespacedName]bool, resourceVersion string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	names := make(map[string]bool, len(exist))
	for key := range exist {
		names[key.Name] = true
	}
	maps.DeleteFunc(i.gone, func(name string, _ bool) bool { return !names[name] })
	maps.DeleteFunc(i.byName, func(name string, o object) bool {
		order, err := resourceversion.CompareResourceVersion(o.resourceVersion, resourceVersion)
		return !names[name] && (err != nil || order <= 0)
	})
}

// all returns the objects sorted by name.
func (i *inventory) all() []object {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]object, 0, len(i.byName))
	for _, o := range i.byName {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b object) int { return cmp.Compare(a.name, b.name) })
	return list
}

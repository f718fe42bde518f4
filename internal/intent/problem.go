package intent

import (
	"cmp"
	"strings"
)

// The kinds of objects that problems are about.
const (
	KindPool             = "IPAddressPool"
	KindPeer             = "BGPPeer"
	KindBGPAdvertisement = "BGPAdvertisement"
	KindL2Advertisement  = "L2Advertisement"
	KindBFDProfile       = "BFDProfile"
	KindCommunity        = "Community"
	KindReservation      = "IPReservation"
	KindQuota            = "AddressQuota"
	KindSnippet          = "FRRSnippet"
	KindConfigMap        = "ConfigMap"
)

// ObjectRef names an API object.
type ObjectRef struct {
	Kind, Namespace, Name string
}

// String returns "Kind namespace/name".
func (r ObjectRef) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// ProblemKind says what a Problem means for the object it is about.
type ProblemKind int

const (
	// Invalid: the object can't be used as it is; what it last validly said stays in force.
	Invalid ProblemKind = iota + 1
	// Unresolved: something that the object names does not exist (yet). The rest of the object is used where that is safe.
	Unresolved
	// Conflict: the object contradicts another one, named in Wanted. The older of the two is in force; of this one, what Wanted says is
	// left out, and where it says nothing of the kind the whole object.
	Conflict
	// Warning: the object is used as it is, but probably does not do what its author expects.
	Warning
)

// Problem is one thing wrong with one object, in the words its author needs.
type Problem struct {
	Object ObjectRef
	Kind   ProblemKind
	// Rule is what was violated.
	Rule Rule
	// Field is the path from the object's root: "spec.addresses[1]".
	Field string
	// Found is the value found there, already safe to print (never a secret).
	Found string
	// Wanted says what would be right there.
	Wanted string
	// Kept tells that, because of this or another problem of the object, what it last validly said is in force in place of what it says
	// now.
	Kept bool
}

// compare orders problems by object, field, rule and text.
func (p Problem) compare(o Problem) int {
	return cmp.Or(
		cmp.Compare(p.Object.Kind, o.Object.Kind), cmp.Compare(p.Object.Namespace, o.Object.Namespace),
		cmp.Compare(p.Object.Name, o.Object.Name), cmp.Compare(p.Field, o.Field), cmp.Compare(p.Rule, o.Rule),
		cmp.Compare(p.Found, o.Found), cmp.Compare(p.Wanted, o.Wanted),
	)
}

// Error returns one line that names object, field, value found and value wanted.
func (p Problem) Error() string {
	return p.Object.String() + ": " + p.Detail()
}

// Detail is Error without the object, for conditions on the object itself.
func (p Problem) Detail() string {
	var b strings.Builder
	b.WriteString(p.Field)
	if p.Found != "" {
		b.WriteString(" is " + p.Found)
	}
	b.WriteString(": " + p.Wanted)
	return b.String()
}

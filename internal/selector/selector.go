// Package selector is how the pure core sees Kubernetes label selectors: something that matches a set of labels and can print
// itself. The implementation over apimachinery's label selectors lives in kubeview, so that the core needs no Kubernetes types.
package selector

// Selector matches objects by their labels. String returns the selector in the form a person would type for `kubectl -l`, for messages.
type Selector interface {
	Matches(labels map[string]string) bool
	String() string
}

// Set is a list of selectors of which one match is enough, the meaning every list of selectors has in the metallb.io API.
// Matches of an empty Set is false: whether "no selectors" means everything or nothing is the caller's to say.
type Set []Selector

// Matches tells whether any selector of the set matches labels.
func (s Set) Matches(labels map[string]string) bool {
	for _, one := range s {
		if one.Matches(labels) {
			return true
		}
	}
	return false
}

// MatchesOrEmpty is Matches, with an empty set matching everything: the meaning of nodeSelectors and serviceSelectors in
// advertisements and peers.
func (s Set) MatchesOrEmpty(labels map[string]string) bool {
	return len(s) == 0 || s.Matches(labels)
}

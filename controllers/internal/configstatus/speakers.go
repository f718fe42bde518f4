package configstatus

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// Speakers returns the speakers that report in namespace, by the name of their node, with what they say of themselves.
func Speakers(ctx context.Context, c client.Reader, namespace string) (map[string]announce.Speaker, error) {
	all, err := readSpeakers(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	out := make(map[string]announce.Speaker, len(all))
	for node := range all {
		out[node] = announce.Speaker{Failure: all[node].failure, Drained: all[node].drained, Links: all[node].links}
	}
	return out, nil
}

// SpeakerChanges lets the events pass after which Speakers returns something else.
func SpeakerChanges() predicate.Predicate {
	return predicate.And(predicate.NewPredicateFuncs(isSpeaker), predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1beta1.ConfigurationState)
		after, is := e.ObjectNew.(*v1beta1.ConfigurationState)
		if !ok || !is {
			return true
		}
		was, now := speakerOf(&before.Status), speakerOf(&after.Status)
		return was.failure != now.failure || was.drained != now.drained || !slices.Equal(was.links, now.links)
	}})
}

// drained returns why a node has given up its routes, "" when it has not.
func drained(conditions []metav1.Condition) string {
	if c := meta.FindStatusCondition(conditions, v1beta1.ConditionDrained); c != nil && c.Status == metav1.ConditionTrue {
		return c.Message
	}
	return ""
}

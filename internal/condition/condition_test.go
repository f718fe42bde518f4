package condition_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

func at(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 999, time.UTC) }

func accepted(status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: "Accepted", Status: status, Reason: reason, Message: "m"}
}

func TestGivenAConditionWhenAppliedAgainThenNothingChanges(t *testing.T) {
	first, changed := condition.Apply(nil, 1, at(1), accepted("True", "Fine"))
	if !changed || len(first) != 1 || first[0].ObservedGeneration != 1 || !first[0].LastTransitionTime.Time.Equal(at(1).Truncate(time.Second)) {
		t.Fatalf("conditions are %+v, changed %v", first, changed)
	}
	if second, changed := condition.Apply(first, 1, at(2), accepted("True", "Fine")); changed || second[0] != first[0] {
		t.Errorf("conditions are %+v, changed %v, want no change of %+v", second, changed, first)
	}
}

func TestGivenAConditionWhenOnlyItsReasonOrGenerationChangesThenTheTransitionTimeStays(t *testing.T) {
	first, _ := condition.Apply(nil, 1, at(1), accepted("False", "Bad"))
	for name, apply := range map[string]func() ([]metav1.Condition, bool){
		"reason":     func() ([]metav1.Condition, bool) { return condition.Apply(first, 1, at(5), accepted("False", "Worse")) },
		"generation": func() ([]metav1.Condition, bool) { return condition.Apply(first, 2, at(5), accepted("False", "Bad")) },
	} {
		next, changed := apply()
		if !changed || !next[0].LastTransitionTime.Equal(&first[0].LastTransitionTime) {
			t.Errorf("after another %s: %+v, changed %v", name, next, changed)
		}
	}
}

func TestGivenAConditionWhenItsStatusChangesThenTheTransitionTimeIsNowAndTheOldListIsAsItWas(t *testing.T) {
	other := metav1.Condition{Type: "Programmed", Status: "True", Reason: "Done", LastTransitionTime: metav1.NewTime(at(0))}
	first, _ := condition.Apply([]metav1.Condition{other}, 1, at(1), accepted("True", "Fine"))
	next, changed := condition.Apply(first, 1, at(9), accepted("False", "Bad"))
	if !changed || next[0] != other || !next[1].LastTransitionTime.Time.Equal(at(9).Truncate(time.Second)) {
		t.Errorf("conditions are %+v, changed %v", next, changed)
	}
	if first[1].Status != "True" {
		t.Errorf("the list that was given has changed: %+v", first)
	}
}

func TestGivenAMessageTooLongForTheAPIWhenAppliedThenItIsCutAtARune(t *testing.T) {
	c := accepted("True", "Fine")
	c.Message = strings.Repeat("ä", 20000)
	got, _ := condition.Apply(nil, 1, at(1), c)
	if m := got[0].Message; len(m) > 32768 || len(m) < 32000 || !utf8.ValidString(m) || !strings.HasSuffix(m, "…") {
		t.Errorf("message has %d bytes, valid %v", len(m), utf8.ValidString(m))
	}
}

func TestGivenErrorsOfEachKindWhenAReconcilerAsksThenItIsToldWhatToDo(t *testing.T) {
	plain := errors.New("no route")
	for _, row := range []struct {
		err    error
		reason string
		after  time.Duration
		rest   error
	}{
		{plain, "Failed", 0, plain},
		{fmt.Errorf("applying: %w", &condition.Stalled{Reason: "InvalidSpec", Err: plain}), "InvalidSpec", 0, nil},
		{fmt.Errorf("applying: %w", &condition.Waiting{Reason: "Pending", After: time.Minute, Err: plain}), "Pending", time.Minute, nil},
		{&condition.Waiting{Reason: "Pending", Err: plain}, "Pending", 0, nil},
		{nil, "Failed", 0, nil},
	} {
		after, rest := condition.Retry(row.err)
		if after != row.after || !errors.Is(rest, row.rest) || condition.Reason(row.err, "Failed") != row.reason {
			t.Errorf("of %v: again after %s with %v, reason %s; want %s, %v, %s", row.err, after, rest, condition.Reason(row.err, "Failed"), row.after, row.rest, row.reason)
		}
		if row.err != nil && !errors.Is(row.err, plain) {
			t.Errorf("%v hides its cause", row.err)
		}
	}
}

func TestGivenAYesOrNoWhenMadeAStatusThenItIsTrueOrFalse(t *testing.T) {
	if condition.Is(true) != metav1.ConditionTrue || condition.Is(false) != metav1.ConditionFalse {
		t.Error("Is mixes up True and False")
	}
}

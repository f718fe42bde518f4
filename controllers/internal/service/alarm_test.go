package service

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestGivenWorkSetSeveralTimesWhenTheEarliestIsDueThenItComesOnceAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		in := make(inbox, 8)
		a := newAlarm(in)
		done := make(chan error)
		go func() { done <- a.Start(ctx) }()
		start := time.Now()
		a.set(reservationsWork, time.Hour)
		a.set(reservationsWork, 10*time.Minute)
		a.set(strangersWork, 30*time.Minute)
		for _, want := range []struct {
			work  Work
			after time.Duration
		}{{reservationsWork, 10 * time.Minute}, {strangersWork, 30 * time.Minute}} {
			e := <-in
			if e.Object != want.work || time.Since(start).Round(time.Second) != want.after {
				t.Errorf("%+v comes after %s, want %+v after %s", e.Object, time.Since(start), want.work, want.after)
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(in) > 0 {
			t.Error("what was set to come later comes once more")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

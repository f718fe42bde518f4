package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
)

func open(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGivenAMissingEntryWhenManyAskAtOnceThenItIsBuiltOnce(t *testing.T) {
	c := open(t)
	var builds atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := c.Entry(t.Context(), "thing", func(_ context.Context, dir string) error {
				builds.Add(1)
				return os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := os.ReadFile(filepath.Join(path, "f")); err != nil || string(b) != "x" {
				t.Errorf("read entry: %q, %v", b, err)
			}
		})
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times, want 1", n)
	}
}

func TestGivenABuildThatFailsWhenAskedAgainThenNothingOfTheFirstIsLeft(t *testing.T) {
	c := open(t)
	broken := errors.New("broken")
	_, err := c.Entry(t.Context(), "thing", func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want it to wrap %v", err, broken)
	}
	path, err := c.Entry(t.Context(), "thing", func(context.Context, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(path)
	if err != nil || len(left) != 0 {
		t.Errorf("entry holds %v (error %v), want it empty", left, err)
	}
}

func TestGivenAHeldLockWhenTheWaiterGivesUpThenItSaysSo(t *testing.T) {
	c := open(t)
	unlock, err := c.Lock(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Lock(ctx, "l"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want deadline exceeded", err)
	}
	unlock()
	again, err := c.Lock(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestGivenDifferentInputsWhenNamedThenKeysDiffer(t *testing.T) {
	a, b, same := cache.Key("x", "ab", "c"), cache.Key("x", "a", "bc"), cache.Key("x", "ab", "c")
	if a == b {
		t.Errorf("keys of different inputs are both %s", a)
	}
	if a != same {
		t.Errorf("keys of equal inputs differ: %s, %s", a, same)
	}
}

func TestGivenFourEntriesWhenPrunedToTwoThenTheLastUsedRemain(t *testing.T) {
	c := open(t)
	now := time.Now()
	for i, name := range []string{"g-1", "g-2", "g-3", "other"} {
		path, err := c.Entry(t.Context(), name, func(context.Context, string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		used := now.Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(path, used, used); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Prune("g-*", 2); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"g-1": true, "g-2": true, "g-3": false, "other": true} {
		_, err := os.Stat(filepath.Join(c.Dir(), name))
		if got := err == nil; got != want {
			t.Errorf("entry %s present: %v, want %v", name, got, want)
		}
	}
}

package reload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrReplaced is why a reloader ends whose program's file has become another one.
var ErrReplaced = errors.New("the program's file has been replaced")

const (
	// replacedLook is the time between two looks at the program's file.
	replacedLook = time.Second
	// replacedPatience is how long a reloader waits for a moment in which it does nothing with FRR before it makes way for its successor.
	replacedPatience = 30 * time.Second
	// runningProgram is the file that this process runs, also after another one has taken its name (proc_pid_exe(5)).
	runningProgram = "/proc/self/exe"
)

// AwaitReplaced returns ErrReplaced when the file at path, from which this process was started, is another one and the engine is doing nothing
// with FRR, and nil when the context ends. FRR's container and the reloader's have FRR's image, so that a new reloader comes as a file
// (Install), and not with a new container.
func (e *Engine) AwaitReplaced(ctx context.Context, path string) error {
	look := time.NewTicker(replacedLook)
	defer look.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		other, err := replaced(path)
		if err != nil {
			return err
		}
		switch {
		case !other:
			since = time.Time{}
		case since.IsZero():
			since = time.Now() // whoever replaced it may be about to give FRR work as well
		case e.idle() || time.Since(since) > replacedPatience:
			e.o.Log.Info("another version of this program was installed and takes over", "event", "replaced", "file", path)
			return ErrReplaced
		}
	}
}

// replaced says whether there is a file at path, and not the one that this process runs.
func replaced(path string) (bool, error) {
	own, err := os.Stat(runningProgram)
	if err != nil {
		return false, fmt.Errorf("look at the running program: %w", err)
	}
	there, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for another version of this program: %w", err)
	}
	return !os.SameFile(own, there), nil
}

// idle says whether no configuration is being applied or waits to be.
func (e *Engine) idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.interrupt == nil && e.pending == nil
}

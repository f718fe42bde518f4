package reload

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// write puts a file into place at once and whole, readable by FRR alone: it
// holds the sessions' passwords.
func (e *Engine) write(path string, content []byte) error {
	return writeFile(path, content, 0o640, e.o.Owner, e.o.Group)
}

func writeFile(path string, content []byte, mode os.FileMode, owner, group int) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, content) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // there is nothing left to remove after the rename
	defer f.Close()
	for _, act := range []func() error{
		func() error { return f.Chmod(mode) },
		func() error { return f.Chown(owner, group) },
		func() error { _, err := f.Write(content); return err },
		f.Close,
		func() error { return os.Rename(f.Name(), path) },
	} {
		if err := act(); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

package uml

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loader loads kernel modules. Debian's package has no list of what needs what, which modprobe would want: it is made when the package is installed.
type loader struct {
	folder string
	loaded map[string]bool
}

// load loads a module after those it depends on. One that the kernel has already is no error.
func (l *loader) load(name string) error {
	if l.loaded[name] {
		return nil
	}
	l.loaded[name] = true
	path, err := l.find(name)
	if err != nil {
		return err
	}
	needs, err := dependencies(path)
	if err != nil {
		return err
	}
	for _, other := range needs {
		if err := l.load(other); err != nil {
			return err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load kernel module %s: %w", name, err)
	}
	return nil
}

// find returns the file of a module. Files may be named with dashes where the module has underscores.
func (l *loader) find(name string) (path string, err error) {
	file := strings.ReplaceAll(name, "-", "_") + ".ko"
	err = filepath.WalkDir(l.folder, func(p string, _ fs.DirEntry, err error) error {
		if err == nil && strings.ReplaceAll(filepath.Base(p), "-", "_") == file {
			path, err = p, fs.SkipAll
		}
		return err
	})
	if err == nil && path == "" {
		err = fmt.Errorf("there is no kernel module %s in %s", name, l.folder)
	}
	return path, err
}

// dependencies reads the names of the modules that one needs from the file itself.
func dependencies(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s is no kernel module: it has no section .modinfo", path)
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read section .modinfo of %s: %w", path, err)
	}
	for entry := range strings.SplitSeq(string(data), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}

// Package source finds the checkout of this project that a test or the lab program runs in; programs and images are
// built from it.
package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Module is the path of this project's Go module.
const Module = "github.com/seed-551707bd/metallb-operator"

// Root is the top folder of the checkout that holds dir: the nearest folder upwards whose go.mod is this project's.
func Root(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("make %s absolute: %w", dir, err)
	}
	for at := abs; ; at = filepath.Dir(at) {
		text, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("look for the project's go.mod: %w", err)
		}
		if err == nil && moduleOf(text) == Module {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("folder %s is not inside a checkout of %s: run this from one", abs, Module)
		}
	}
}

// moduleOf is the module path that a go.mod file declares, "" where it declares none.
func moduleOf(gomod []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(gomod))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 2 && f[0] == "module" {
			return f[1]
		}
	}
	return ""
}

// Requirement is the version that a go.mod file requires of the given module in a line of its own
// ("require MODULE VERSION") or in a block.
func Requirement(gomod []byte, module string) (string, error) {
	lines := bufio.NewScanner(bytes.NewReader(gomod))
	for lines.Scan() {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(f) >= 2 && f[0] == module && strings.HasPrefix(f[1], "v") {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("go.mod requires no version of %s", module)
}

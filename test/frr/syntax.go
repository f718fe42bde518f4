package frr

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Syntax runs `vtysh -C`, FRR's own syntax check, over a configuration and
// returns an error that carries FRR's words where it finds fault. No daemon runs.
func Syntax(ctx context.Context, release Release, conf []byte) error {
	root, err := Root(ctx, release)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), "syntax-")
	if err != nil {
		return fmt.Errorf("make a directory for the syntax check: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "frr.conf"), conf, 0o600); err != nil {
		return fmt.Errorf("write the configuration to check: %w", err)
	}
	inner := strings.TrimPrefix(dir, root)
	cmd := exec.CommandContext(ctx, "/usr/bin/vtysh", "-C", "-f", inner+"/frr.conf", "--config_dir", inner)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("FRR of Debian %s refuses the configuration: %w\n%s", release, err, out)
	}
	return nil
}

// CheckSyntax fails the test where FRR of any of Releases finds fault with conf.
func CheckSyntax(tb testing.TB, conf string) {
	tb.Helper()
	for _, release := range Releases() {
		if err := Syntax(tb.Context(), release, []byte(conf)); err != nil {
			tb.Errorf("%v\nin:\n%s", err, conf)
		}
	}
}

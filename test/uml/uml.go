// Package uml runs a test in a kernel of its own: User-mode Linux, as Debian ships it. It is for what the kernel of the machine may lack, such as
// bonds, VLANs and VRFs. It needs root, two seconds and up to 512 MB.
package uml

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
)

const (
	// modulesVariable is in the environment inside, and only there: the folder with the kernel's modules.
	modulesVariable = "UML_MODULES"
	// folderVariable is the folder that the test began in.
	folderVariable = "UML_FOLDER"
	// verdict begins the last line that the kernel's first process prints, before the exit status.
	verdict = "uml: the tests ended with status "
	// limit bounds what happens inside.
	limit = 10 * time.Minute
)

// Boot tells whether there is nothing left to do for the test. On the machine it boots a kernel in which the same test runs, whose verdict is the
// test's, and returns true. Inside it loads the modules, by name and with all that they need, and returns false: the rest of the test is for there.
// The package's TestMain must call Main.
func Boot(t *testing.T, modules ...string) (done bool) {
	t.Helper()
	if folder := os.Getenv(modulesVariable); folder != "" {
		l := loader{folder: folder, loaded: map[string]bool{}}
		for _, name := range modules {
			if err := l.load(name); err != nil {
				t.Fatal(err)
			}
		}
		return false
	}
	if os.Geteuid() != 0 {
		t.Fatal("a kernel of its own works with the files of root; run the tests as root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	said, err := boot(ctx, t)
	if err != nil {
		t.Fatalf("in a kernel of its own: %v\n%s", err, said)
	}
	return true
}

// boot runs the test in a new kernel and returns what it said.
func boot(ctx context.Context, t *testing.T) (said []byte, err error) {
	t.Helper()
	store, err := cache.Open("")
	if err != nil {
		return nil, err
	}
	root, err := assets.NewWorkshop(store, "", t.Logf).UserModeLinux(ctx)
	if err != nil {
		return nil, err
	}
	modules, err := filepath.Glob(filepath.Join(root, "usr/lib/uml/modules/*/kernel"))
	if err != nil || len(modules) != 1 {
		return nil, fmt.Errorf("look for the kernel's modules in %s: found %d folders, want 1 (%w)", root, len(modules), err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	// Nothing of the machine's files can be changed from inside. Words that the kernel does not know are variables of its first process, and those
	// after the dashes are its arguments.
	cmd := exec.CommandContext(ctx, filepath.Join(root, "usr/bin/linux.uml"), "mem=512M", "quiet", "loglevel=0",
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "uml_dir="+t.TempDir(), "con=null", "con0=null,fd:1",
		"init="+self, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "XDG_CACHE_HOME="+os.Getenv("XDG_CACHE_HOME"), modulesVariable+"="+modules[0], folderVariable+"="+folder,
		"--", "-test.run="+only(t.Name()), "-test.timeout="+limit.String())
	// The kernel is many processes. They end with the first one of their own process namespace, and that with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	before, status, ended := strings.Cut(out.String(), verdict)
	switch n, wrong := strconv.Atoi(strings.TrimSpace(status)); {
	case !ended:
		return out.Bytes(), errors.Join(errors.New("it ended without a verdict"), err, ctx.Err())
	case wrong != nil || n != 0:
		return []byte(before), errors.New("the test failed")
	}
	return nil, nil
}

// only is the pattern for -test.run that this test alone matches.
func only(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// Main runs the tests of a package, as (*testing.M).Run does. Inside it is the kernel's first process, and does not return.
func Main(m *testing.M) (status int) {
	if os.Getenv(modulesVariable) == "" {
		return m.Run()
	}
	status = 1
	if err := prepare(); err != nil {
		fmt.Println(err)
	} else {
		status = m.Run()
	}
	fmt.Println(verdict + strconv.Itoa(status))
	fmt.Println(unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
	return status
}

// prepare makes the place inside what a test expects: kernel file systems, and a folder that can be written to.
func prepare() error {
	for _, mount := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(mount[0], mount[1], mount[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", mount[1], err)
		}
	}
	if err := os.Setenv("TMPDIR", "/run"); err != nil {
		return err
	}
	return os.Chdir(os.Getenv(folderVariable))
}

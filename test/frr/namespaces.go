package frr

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// StartNamespaces runs a shell script as process 1 of network, mount, process, host name and IPC namespaces of its own, and returns its process id on the
// machine. Its standard input is a pipe from the test, which is returned: a script that ends when that closes leaves nothing behind, whatever becomes of the
// test binary, as the kernel then ends all processes of the process namespace and drops the mounts and links. At the end of the test it is ended in any case.
func StartNamespaces(tb testing.TB, output io.Writer, script string, args ...string) (pid int, stdin io.Writer) {
	tb.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=" + os.TempDir()}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	cmd.Stdout, cmd.Stderr = output, output
	alive, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatalf("make the pipe that keeps namespaces alive: %v", err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start namespaces: %v", err)
	}
	tb.Cleanup(func() {
		_ = alive.Close()
		_ = cmd.Process.Kill() // process 1: everything inside goes with it
		_ = cmd.Wait()
	})
	return cmd.Process.Pid, alive
}

// EnterNamespaces is the beginning of a command line that runs a program in the namespaces, and with the root, of a process.
func EnterNamespaces(pid int) []string {
	return []string{"/usr/bin/nsenter", "-t", strconv.Itoa(pid), "-n", "-m", "-p", "-u", "-i", "-r", "-w"}
}

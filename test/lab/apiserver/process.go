package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// process is a program that runs until it is stopped. The kernel kills it when this process ends.
type process struct {
	name    string
	logFile string
	cmd     *exec.Cmd
	done    chan struct{}
	err     error // how it ended; written before done is closed
}

// startProcess starts a program whose output goes to logFile. It outlives ctx.
func startProcess(ctx context.Context, name, program string, args []string, logFile string) (*process, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("create log of %s: %w", name, err)
	}
	p := &process{name: name, logFile: logFile, cmd: exec.CommandContext(context.WithoutCancel(ctx), program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		defer log.Close()
		// The death signal is sent when the thread that started the child ends, so this thread stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// ended says whether the process has ended, and how.
func (p *process) ended() (ended bool, how error) {
	select {
	case <-p.done:
		return true, p.err
	default:
		return false, nil
	}
}

// stop kills the process, whose data nobody needs any more, and waits for its end.
func (p *process) stop() error {
	err := p.cmd.Process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// log is the end of what the process printed, at most n bytes.
func (p *process) log(n int) string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	s := strings.TrimSpace(string(text))
	return s[max(0, len(s)-n):]
}

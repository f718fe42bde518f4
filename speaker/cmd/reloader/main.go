// Command reloader gives FRR its configuration. It is one static binary that
// runs inside the FRR image, next to the FRR container:
//
//	reloader install DEST   copies itself, for images without a shell; with
//	                        --stay it waits after that until it is told to end
//	reloader prepare        writes what FRR needs to start; an init container
//	reloader [run]          applies configurations and looks after FRR
//	reloader leave          ends the BGP sessions in order; what Kubernetes
//	                        calls before it stops the FRR container
//	reloader alive          fails where the one that runs does not answer
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/reload"
)

type options struct {
	socket, configDir, runDir, vtysh, frrReload, logLevel string
	drift, wait                                           time.Duration
	closeAll, stay                                        bool
	listen                                                uint
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if replaced, ok := errors.AsType[*succession](err); ok {
		err = replaced.succeed()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reloader:", err)
		os.Exit(1)
	}
}

// socketVariable tells a successor the number of the file that is the socket.
const socketVariable = "RELOADER_SOCKET"

// succession is why a reloader ends whose program's file was replaced, and the socket that the successor goes on with.
type succession struct{ socket *os.File }

func (s *succession) Error() string { return reload.ErrReplaced.Error() }

// succeed makes this process its successor, with the same arguments: to Kubernetes the container goes on, and to the speaker the reloader is slow
// to answer once.
func (s *succession) succeed() error {
	socket, err := unix.FcntlInt(s.socket.Fd(), unix.F_DUPFD, 3) // one that is not closed on the way
	if err != nil {
		return fmt.Errorf("keep the socket for the new version of %s: %w", os.Args[0], err)
	}
	environment := append(os.Environ(), fmt.Sprintf("%s=%d", socketVariable, socket))
	if err := syscall.Exec(os.Args[0], os.Args, environment); err != nil {
		return fmt.Errorf("start the new version of %s: %w", os.Args[0], err)
	}
	return nil
}

// listen makes the socket, or takes it over from the process that became this one.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if text := os.Getenv(socketVariable); text != "" {
		if err := os.Unsetenv(socketVariable); err != nil {
			return nil, fmt.Errorf("forget %s: %w", socketVariable, err)
		}
		if number, err := strconv.ParseUint(text, 10, 31); err == nil {
			if l, err := reload.TakeOver(uintptr(number), path); err == nil {
				return l, nil
			}
		}
	}
	return reload.Listen(ctx, path)
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	command := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	o := options{}
	flags := flag.NewFlagSet("reloader "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.socket, "socket", "/etc/frr_reloader/reloader.sock", "unix socket the speaker connects to")
	flags.StringVar(&o.configDir, "config-dir", "/etc/frr", "directory of frr.conf")
	flags.StringVar(&o.runDir, "run-dir", "/var/run/frr", "directory of FRR's vty sockets")
	flags.StringVar(&o.vtysh, "vtysh", "/usr/bin/vtysh", "path of vtysh")
	flags.StringVar(&o.frrReload, "frr-reload", "/usr/lib/frr/frr-reload.py", "path of frr-reload.py")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.DurationVar(&o.drift, "drift-interval", 10*time.Second, "time between two looks at whether FRR still runs what is wanted")
	flags.DurationVar(&o.wait, "wait", 5*time.Second, "leave: time between making routes the last to be chosen and closing their sessions")
	flags.BoolVar(&o.closeAll, "close-all", false, "leave: close the sessions on which graceful restart was negotiated, too")
	flags.BoolVar(&o.stay, "stay", false, "install: wait until told to end, as a container does whose image may change while its pod runs")
	flags.UintVar(&o.listen, "bgp-listen-port", 0, "for prepare: TCP port on which bgpd accepts sessions, 0 for none")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return fmt.Errorf("read the command line: %w", err)
	}
	switch command {
	case "install":
		if flags.NArg() != 1 {
			return errors.New("install: want one argument, the file or directory to copy to")
		}
		if err := install(flags.Arg(0)); err != nil || !o.stay {
			return err
		}
		debug.FreeOSMemory() // that held the program: there is a container that waits on every node
		<-ctx.Done()
		return nil
	case "prepare":
		if o.listen > math.MaxUint16 {
			return fmt.Errorf("--bgp-listen-port is %d, want a TCP port, or 0 for none", o.listen)
		}
		return reload.Prepare(o.configDir, o.runDir, uint16(o.listen))
	case "run":
		return serve(ctx, o, stderr)
	case "leave":
		return leave(ctx, o, stderr)
	case "alive":
		return alive(ctx, o.socket)
	}
	return fmt.Errorf("unknown command %q: want install, prepare, run, leave or alive", command)
}

// aliveLimit is the time that the reloader has to answer: it does so at once, also while it gives FRR a configuration or waits for FRR.
const aliveLimit = 5 * time.Second

// alive asks the reloader that runs. What it says of FRR does not matter.
func alive(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, aliveLimit)
	defer cancel()
	client := frr.New(socket)
	defer client.Close()
	_, err := client.Status(ctx)
	return err
}

func install(dest string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	if info, err := os.Stat(dest); err == nil && info.IsDir() {
		dest = filepath.Join(dest, "reloader")
	}
	return reload.Install(self, dest)
}

func serve(ctx context.Context, o options, stderr io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return fmt.Errorf("read --log-level: %w", err)
	}
	if o.drift <= 0 {
		return fmt.Errorf("--drift-interval is %v, want more than 0", o.drift)
	}
	owner, group, err := reload.Owner("frr")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.socket), 0o755); err != nil {
		return fmt.Errorf("make the socket's directory: %w", err)
	}
	listener, err := listen(ctx, o.socket)
	if err != nil {
		return err
	}
	engine := reload.New(reload.Options{
		RunDir:        o.runDir,
		ConfigFile:    filepath.Join(o.configDir, "frr.conf"),
		Owner:         owner,
		Group:         group,
		Loader:        &reload.Scripts{Vtysh: o.vtysh, FRRReload: o.frrReload},
		DriftInterval: o.drift,
		Log:           newLogger(stderr, level),
	})
	tasks, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks.Go(func() error {
		engine.Run(ctx)
		return nil
	})
	if filepath.IsAbs(os.Args[0]) { // as containers start it
		tasks.Go(func() error {
			err := engine.AwaitReplaced(ctx, os.Args[0])
			if errors.Is(err, reload.ErrReplaced) {
				return inherit(listener)
			}
			return err
		})
	}
	tasks.Go(func() error {
		defer cancel()
		return engine.Serve(ctx, listener)
	})
	return tasks.Wait()
}

// inherit has the socket outlast this program.
func inherit(listener net.Listener) error {
	socket, err := reload.HandOver(listener)
	if err != nil {
		return err
	}
	return &succession{socket}
}

// containerLog is the standard error of the container's first process. What a program prints that Kubernetes calls before it stops a
// container is shown nowhere; what is written here is in the container's log.
const containerLog = "/proc/1/fd/2"

func leave(ctx context.Context, o options, stderr io.Writer) error {
	if o.wait < 0 {
		return fmt.Errorf("--wait is %v, want 0 or more", o.wait)
	}
	log := stderr
	if file, err := os.OpenFile(containerLog, os.O_WRONLY|os.O_APPEND, 0); err == nil {
		defer file.Close()
		log = io.MultiWriter(file, stderr)
	}
	return reload.Leave(ctx, reload.LeaveOptions{RunDir: o.runDir, Wait: o.wait, CloseAll: o.closeAll, Log: newLogger(log, slog.LevelInfo)})
}

// newLogger writes one JSON object per line with the keys that users of such a
// speaker already search for: ts, level and caller beside msg.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level:     level,
		AddSource: true,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case len(groups) > 0:
			case a.Key == slog.TimeKey:
				a.Key = "ts"
			case a.Key == slog.LevelKey:
				a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
			case a.Key == slog.SourceKey:
				if source, ok := a.Value.Any().(*slog.Source); ok {
					a = slog.String("caller", fmt.Sprintf("%s:%d", filepath.Base(source.File), source.Line))
				}
			}
			return a
		},
	}))
}

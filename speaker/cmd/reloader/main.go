// Command reloader gives FRR its configuration. It is one static binary that
// runs inside the FRR image, next to the FRR container:
//
//	reloader install DEST   copies itself, for images without a shell
//	reloader prepare        writes what FRR needs to start; an init container
//	reloader [run]          applies configurations and looks after FRR
//	reloader leave          ends the BGP sessions in order; what Kubernetes
//	                        calls before it stops the FRR container
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/reload"
)

type options struct {
	socket, configDir, runDir, vtysh, frrReload, logLevel string
	drift, wait                                           time.Duration
	closeAll                                              bool
	listen                                                uint
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "reloader:", err)
		os.Exit(1)
	}
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
		return install(flags.Arg(0))
	case "prepare":
		if o.listen > math.MaxUint16 {
			return fmt.Errorf("--bgp-listen-port is %d, want a TCP port, or 0 for none", o.listen)
		}
		return reload.Prepare(o.configDir, o.runDir, uint16(o.listen))
	case "run":
		return serve(ctx, o, stderr)
	case "leave":
		return leave(ctx, o, stderr)
	}
	return fmt.Errorf("unknown command %q: want install, prepare, run or leave", command)
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
	listener, err := reload.Listen(ctx, o.socket)
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		engine.Run(ctx)
	}()
	err = engine.Serve(ctx, listener)
	cancel()
	<-done
	return err
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

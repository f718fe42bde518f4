package reload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// daemonsFile says which daemons FRR's start-up starts, and how; bgpd's port is
// put into it.
//
// FRR's scripts read it as a part of themselves, watchfrr.sh among them, by which watchfrr ends and starts daemons. That script asks a daemon to end by
// SIGINT, which FRR's daemons heed between two pieces of work (FRR lib/sigevent.c): one that hangs never does, and watchfrr would ask it for ever. So whoever
// has not ended 10 s after it was asked is killed. Ending takes bgpd, with thousands of prefixes, a fraction of a second.
const daemonsFile = `# Written by the reloader.
case "${0##*/} ${1:-}" in
"watchfrr.sh stop" | "watchfrr.sh restart")
	(
		pid=$(cat "/var/run/frr/$2.pid") || exit
		sleep 10
		[ "$(cat "/proc/$pid/comm")" = "$2" ] && kill -9 "$pid"
	) >/dev/null 2>&1 &
	;;
esac
bgpd=yes
bfdd=yes
vtysh_enable=yes
zebra_options="  -A 127.0.0.1 -s 90000000"
bgpd_options="   -A 127.0.0.1 -p %d"
bfdd_options="   -A 127.0.0.1"
staticd_options="-A 127.0.0.1"
`

// vtyshFile makes vtysh use the one file frr.conf for all daemons.
const vtyshFile = "service integrated-vtysh-config\n"

// firstConfig is what FRR runs before it was ever given a configuration.
const firstConfig = `frr defaults traditional
log stdout informational
log timestamp precision 3
service integrated-vtysh-config
`

// Prepare writes the files that FRR needs to start, into FRR's configuration
// directory and in its name. An frr.conf that is there already stays: FRR then
// starts with what it ran last. bgpd accepts sessions on the TCP port, none where
// that is 0.
func Prepare(configDir, runDir string, port uint16) error {
	owner, group, err := Owner("frr")
	if err != nil {
		return err
	}
	for _, dir := range []string{configDir, runDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
		if err := giveDir(dir, owner, group); err != nil {
			return err
		}
	}
	// FRR's start-up would take the sockets of a run before for living daemons.
	stale, err := filepath.Glob(filepath.Join(runDir, "*.vty"))
	if err != nil {
		return fmt.Errorf("look for sockets in %s: %w", runDir, err)
	}
	for _, socket := range stale {
		if err := os.Remove(socket); err != nil {
			return fmt.Errorf("remove the socket of a run before: %w", err)
		}
	}
	if err := writeFile(filepath.Join(configDir, "daemons"), fmt.Appendf(nil, daemonsFile, port), 0o640, owner, group); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(configDir, "vtysh.conf"), []byte(vtyshFile), 0o640, owner, group); err != nil {
		return err
	}
	conf := filepath.Join(configDir, "frr.conf")
	if _, err := os.Stat(conf); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return fmt.Errorf("look for %s: %w", conf, err)
		}
		return nil
	}
	return writeFile(conf, []byte(firstConfig), 0o640, owner, group)
}

// giveDir makes a directory FRR's. A volume in memory comes with the sticky bit,
// with which root without CAP_FOWNER could no longer replace what is FRR's there.
func giveDir(dir string, owner, group int) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if info.Mode()&fs.ModeSticky != 0 {
		if err := os.Chmod(dir, info.Mode().Perm()); err != nil {
			return fmt.Errorf("clear the sticky bit of %s: %w", dir, err)
		}
	}
	if err := os.Chown(dir, owner, group); err != nil {
		return fmt.Errorf("give %s to frr: %w", dir, err)
	}
	return nil
}

// Owner looks up the ids of a user and of the group of the same name.
func Owner(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("look up user %s: %w", name, err)
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("look up group %s: %w", name, err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, fmt.Errorf("read the id of user %s: %w", name, err)
	}
	if gid, err = strconv.Atoi(g.Gid); err != nil {
		return 0, 0, fmt.Errorf("read the id of group %s: %w", name, err)
	}
	return uid, gid, nil
}

// Install copies the program file to dest, executable for all, at once and whole.
func Install(program, dest string) error {
	src, err := os.Open(program)
	if err != nil {
		return fmt.Errorf("install %s: %w", dest, err)
	}
	defer src.Close()
	content, err := io.ReadAll(src)
	if err != nil {
		return fmt.Errorf("install %s: %w", dest, err)
	}
	return writeFile(dest, content, 0o755, os.Getuid(), os.Getgid())
}

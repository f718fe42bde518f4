// Package frr gives tests real FRR daemons: the ones Debian ships, unpacked
// into a cache of the user and run in namespaces of their own, so that nothing
// is installed on the machine and no service of it is touched.
//
// It needs root, for namespaces and chroot, and says so. The first use on a
// machine downloads about 40 MB of Debian packages per release.
package frr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Release is the Debian release whose FRR is meant. Its name is the code name
// that Debian's archive uses.
type Release string

const (
	// Bookworm is Debian 12 with FRR 8.4, the oldest FRR this project supports.
	Bookworm Release = "bookworm"
	// Trixie is Debian 13 with FRR 10.3.
	Trixie Release = "trixie"
)

// Releases lists every release that tests run against, the oldest first.
func Releases() []Release { return []Release{Bookworm, Trixie} }

// packages are what an FRR container image holds, with the few tools the
// start-up script of an Instance uses.
const packages = "frr frr-pythontools bash dash coreutils grep sed iproute2 procps tini libpam-modules"

// unpackScript builds a root file system from Debian's packages without
// installing them: apt resolves and verifies against a package state of its
// own, so the machine's is neither read nor changed, and no maintainer script runs.
const unpackScript = `set -eu
release=$1 dir=$2; shift 2
root=$dir/root
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
echo "deb http://deb.debian.org/debian $release main" >"$dir/sources.list"
: >"$dir/status"
apt() {
	apt-get -qq -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State="$dir" -o Dir::State::lists="$dir/lists" -o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Retries=3 -o APT::Install-Recommends=false -o Dir::Log=/dev/null "$@"
}
apt update
apt install --download-only -y "$@"
for d in bin sbin lib lib64; do mkdir -p "$root/usr/$d"; ln -s "usr/$d" "$root/$d"; done
for deb in "$dir"/cache/archives/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$root" --keep-directory-symlink \
		--exclude './usr/share/doc/*' --exclude './usr/share/man/*' --exclude './usr/share/locale/*'
done
printf '%s\n' root:x:0:0:root:/root:/bin/bash frr:x:100:101::/nonexistent:/usr/sbin/nologin >"$root/etc/passwd"
printf '%s\n' root:x:0: frr:x:101: frrvty:x:102:frr >"$root/etc/group"
mkdir -p "$root/run/frr" "$root/var/log/frr" "$root/etc/frr"
rm -rf "$root/var/run"; ln -s /run "$root/var/run"
ln -sf dash "$root/usr/bin/sh"
mkdir -p "$root/etc/pam.d"
printf '%s required pam_permit.so\n' auth account session password >"$root/etc/pam.d/other"
cp "$root/etc/pam.d/other" "$root/etc/pam.d/frr"
rm -rf "$dir/lists" "$dir/cache"
`

// Root returns the directory that holds the release's FRR with everything it
// needs to run (shell, Python, libraries), ready for chroot. The first call on
// a machine downloads it; concurrent callers, also in other processes, wait for
// that one download. What is inside must not be changed.
func Root(ctx context.Context, release Release) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("real FRR daemons need root: namespaces and chroot; run the tests as root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory for FRR: %w", err)
	}
	recipe := sha256.Sum256([]byte(unpackScript + packages))
	base := filepath.Join(cache, "metallb-lab")
	name := fmt.Sprintf("frr-%s-%x", release, recipe[:6])
	ready := filepath.Join(base, name)
	if _, err := os.Stat(ready); err == nil {
		return filepath.Join(ready, "root"), nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory for FRR: %w", err)
	}
	lock, err := os.OpenFile(ready+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("open the lock for %s: %w", name, err)
	}
	defer lock.Close() // closing gives the lock back
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", name, err)
	}
	switch _, err := os.Stat(ready); {
	case err == nil:
		return filepath.Join(ready, "root"), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("look for %s: %w", name, err)
	}
	return unpack(ctx, release, base, ready)
}

func unpack(ctx context.Context, release Release, base, ready string) (string, error) {
	dir, err := os.MkdirTemp(base, "unpacking-")
	if err != nil {
		return "", fmt.Errorf("make a directory to unpack FRR: %w", err)
	}
	defer os.RemoveAll(dir) // nothing is left to remove after the rename
	args := append([]string{"-c", unpackScript, "sh", string(release), dir}, strings.Fields(packages)...)
	if out, err := exec.CommandContext(ctx, "/bin/sh", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack FRR of Debian %s: %w\n%s", release, err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open up the unpacked FRR: %w", err)
	}
	if err := os.Rename(dir, ready); err != nil {
		return "", fmt.Errorf("keep the unpacked FRR: %w", err)
	}
	return filepath.Join(ready, "root"), nil
}

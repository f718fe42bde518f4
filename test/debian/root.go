// Package debian unpacks programs that Debian ships, with all they need to run, into directories for chroot. Nothing is installed on the machine.
package debian

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

// Root returns the directory that holds the packages (names with spaces between) of a release ("bookworm") with everything they depend on, ready for
// chroot. The name says what it is for, "frr". The first call on a machine downloads it; concurrent callers, also in other processes, wait
// for that one download. What is inside must not be changed.
func Root(ctx context.Context, name, release, packages string) (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%s needs root: namespaces and chroot; run the tests as root", name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory for %s: %w", name, err)
	}
	recipe := sha256.Sum256([]byte(unpackScript + packages))
	base := filepath.Join(cache, "metallb-lab")
	name = fmt.Sprintf("%s-%s-%x", name, release, recipe[:6])
	ready := filepath.Join(base, name)
	if _, err := os.Stat(ready); err == nil {
		return filepath.Join(ready, "root"), nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory for %s: %w", name, err)
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
	return unpack(ctx, release, packages, base, ready)
}

func unpack(ctx context.Context, release, packages, base, ready string) (string, error) {
	dir, err := os.MkdirTemp(base, "unpacking-")
	if err != nil {
		return "", fmt.Errorf("make a directory to unpack %s: %w", packages, err)
	}
	defer os.RemoveAll(dir) // nothing is left to remove after the rename
	args := append([]string{"-c", unpackScript, "sh", release, dir}, strings.Fields(packages)...)
	if out, err := exec.CommandContext(ctx, "/bin/sh", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s of Debian %s: %w\n%s", packages, release, err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open up the unpacked %s: %w", packages, err)
	}
	if err := os.Rename(dir, ready); err != nil {
		return "", fmt.Errorf("keep the unpacked %s: %w", packages, err)
	}
	return filepath.Join(ready, "root"), nil
}

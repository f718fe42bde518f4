#!/bin/bash
# chroot.sh ROOT APTCACHE COMMAND...: runs a command inside a Debian root file system, with the machine's network and a
# kept package cache. Runs in a mount namespace of its own, so nothing stays mounted. No service is ever started in it.
set -eu
root=$1 archives=$2
shift 2
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir -p "$archives" "$root/var/cache/apt/archives"
mount --bind "$archives" "$root/var/cache/apt/archives"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' >"$root/etc/dpkg/dpkg.cfg.d/slim"
echo 'Dpkg::Options {"--force-unsafe-io";}; APT::Keep-Downloaded-Packages "true"; Acquire::Retries "3";' >"$root/etc/apt/apt.conf.d/90lab"
env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
rm -rf "$root"/etc/resolv.conf "$root/usr/sbin/policy-rc.d" "$root/etc/apt/apt.conf.d/90lab" "$root/etc/dpkg/dpkg.cfg.d/slim" \
	"$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* \
	"$root"/var/cache/debconf/*-old "$root"/var/log/*.log

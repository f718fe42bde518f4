# machine.sh SETTINGS: the first process of a machine, in namespaces of its own (network, mount, pid, uts, ipc, cgroup).
# It puts the machine's root file system together, moves into it and becomes the machine's init program.
#
# SETTINGS is a file of shell assignments:
#   KIND (control-plane, node, router, client, host, bird), NAME, DIR (the machine's disk), ROOTFS (what it is laid over),
#   RUN (the lab's folder), IPV4, IPV6, and for a node INDEX, PROXY_MODE, API (address of the control plane)
set -eu
settings=$1
. "$settings"
scripts=$RUN/boot
root=$DIR/root

mount -t overlay overlay -o "lowerdir=$ROOTFS,upperdir=$DIR/upper,workdir=$DIR/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/run/lab" "$root/var/log/lab"
mount --bind "$RUN/log" "$root/var/log/lab"
cp "$settings" "$root/run/lab/settings"
cp "$scripts/supervise.sh" "$root/run/lab/"

hostname "$NAME"
echo "$NAME" >"$root/etc/hostname"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
printf '127.0.0.1 localhost\n::1 localhost\n%s %s\n%s %s\n' "$IPV4" "$NAME" "$IPV6" "$NAME" >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf"
: >"$root/etc/resolv.conf"

. "$scripts/$KIND.sh" # mounts and writes what this kind needs, and sets init

mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old 2>/dev/null || true
mount --make-rshared /
: >/run/lab/ready # from here on, commands run inside the machine find its own root
# shellcheck disable=SC2086,SC2154 # init is a command line
exec $init

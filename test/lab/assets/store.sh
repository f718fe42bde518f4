#!/bin/bash
# store.sh ROOT STORE SCRATCH ARCHIVE...: imports image archives into the containerd store at STORE, with the containerd of
# the root file system at ROOT. Runs in namespaces of its own, so nothing stays mounted or running.
set -eu
lower=$1 store=$2 scratch=$3
shift 3
root=$scratch/root
mkdir -p "$scratch/upper" "$scratch/work" "$root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/var/lib/containerd"
mount --bind "$store" "$root/var/lib/containerd"
chroot "$root" containerd --log-level warn >"$scratch/containerd.log" 2>&1 &
containerd=$!
until chroot "$root" ctr version >/dev/null 2>&1; do
	kill -0 $containerd || { cat "$scratch/containerd.log"; exit 1; }
	sleep 0.05
done
for archive in "$@"; do
	chroot "$root" ctr -n k8s.io images import - <"$archive" || { cat "$scratch/containerd.log"; exit 1; }
done
kill $containerd
wait $containerd || true
rm -rf "$store/tmpmounts" "$store"/io.containerd.runtime* "$store/io.containerd.grpc.v1.introspection"

# The control plane: etcd in memory, kube-apiserver, kube-controller-manager, kube-scheduler.
mkdir -p "$root/opt/kubernetes" "$root/etc/kubernetes/pki" "$root/var/lib/etcd"
mount --bind "$PROGRAMS" "$root/opt/kubernetes"
mount --bind "$RUN/pki" "$root/etc/kubernetes/pki"
mount -t tmpfs tmpfs "$root/var/lib/etcd"
cp "$ETCD" "$root/run/lab/etcd"
cp "$scripts/control-plane-init.sh" "$root/run/lab/"
init="bash /run/lab/control-plane-init.sh"

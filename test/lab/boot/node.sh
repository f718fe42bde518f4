# A node: containerd, kubelet, kube-proxy. Sourced by machine.sh before the machine moves into its root.

# Control groups: this node's group is the root of its namespace; show it the way the machine mounts them.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
	# A group with processes cannot delegate controllers to groups below it: the node's own processes move aside.
	# One of them is not visible here; who started the node moves that one.
	mkdir -p "$root/sys/fs/cgroup/init"
	echo $$ >"$root/sys/fs/cgroup/init/cgroup.procs"
	read -r controllers <"$root/sys/fs/cgroup/cgroup.controllers"
	for c in $controllers; do
		for _ in $(seq 200); do
			echo "+$c" 2>/dev/null >"$root/sys/fs/cgroup/cgroup.subtree_control" && break
			sleep 0.05
		done
	done
else
	mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
	while read -r _ _ _ _ at rest; do
		case $at in /sys/fs/cgroup/*) ;; *) continue ;; esac
		mkdir -p "$root$at"
		case ${rest##* - } in
		cgroup2*) mount -t cgroup2 cgroup2 "$root$at" ;;
		*name=systemd*) mount -t cgroup -o none,name=systemd cgroup "$root$at" ;;
		cgroup*) mount -t cgroup -o "${at#/sys/fs/cgroup/}" cgroup "$root$at" ;;
		esac
	done </proc/self/mountinfo
fi

mkdir -p "$root"/var/lib/containerd "$root"/var/lib/kubelet "$root"/var/log/pods "$root"/opt/kubernetes "$root"/etc/cni/net.d \
	"$root"/etc/kubernetes "$root"/etc/containerd "$root"/lib/modules
mount --bind "$DIR/containerd" "$root/var/lib/containerd"
mount --bind "$DIR/kubelet" "$root/var/lib/kubelet"
mount --bind "$DIR/pods" "$root/var/log/pods"
mount --bind "$PROGRAMS" "$root/opt/kubernetes"
cp "$RUN/pki/ca.crt" "$RUN/pki/$NAME.kubeconfig" "$RUN/pki/proxy.kubeconfig" "$root/etc/kubernetes/"

# The kubelet insists on these settings, which belong to the whole machine: it gets files of its own with the values it wants.
mkdir -p "$root/run/lab/sysctl"
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	[ -e "$root/proc/sys/${setting%=*}" ] || continue
	file=$root/run/lab/sysctl/$(echo "${setting%=*}" | tr / _)
	echo "${setting#*=}" >"$file"
	mount --bind "$file" "$root/proc/sys/${setting%=*}"
done

cat >"$root/etc/cni/net.d/10-lab.conflist" <<END
{"cniVersion": "1.0.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": "$PODS4"}], [{"subnet": "$PODS6"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
# restrict_oom_score_adj and oom_score: without CAP_SYS_RESOURCE nothing may lower a process's badness.
cat >"$root/etc/containerd/config.toml" <<END
version = 2
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
END
cat >"$root/etc/kubernetes/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/ca.crt}}
authorization: {mode: Webhook}
failSwapOn: false
oomScoreAdj: 0
resolvConf: /etc/resolv.conf
nodeStatusUpdateFrequency: 5s
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
serializeImagePulls: false
shutdownGracePeriod: 0s
END
# conntrack: its limits belong to the whole machine.
cat >"$root/etc/kubernetes/proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $PROXY_MODE
hostnameOverride: $NAME
clusterCIDR: "$CLUSTER_PODS"
clientConnection: {kubeconfig: /etc/kubernetes/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
cp "$scripts/node-init.sh" "$root/run/lab/"
init="bash /run/lab/node-init.sh"

# Init program of a node.
. /run/lab/settings
. /run/lab/supervise.sh
export PATH=/opt/kubernetes:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

# Where the kernel has br_netfilter, pods' traffic over the bridge must meet the rules of Services.
sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 2>/dev/null || true

supervise containerd containerd
until ctr version >/dev/null 2>&1; do sleep 0.1; done
# containerd's start overlaps that of the control plane.
until curl -skf -m 2 "https://$API:6443/readyz" >/dev/null; do sleep 0.1; done
supervise kubelet kubelet --config=/etc/kubernetes/kubelet.yaml --kubeconfig="/etc/kubernetes/$NAME.kubeconfig" \
	--hostname-override="$NAME" --node-ip="$IPV4,$IPV6" --v=1
supervise kube-proxy kube-proxy --config=/etc/kubernetes/proxy.yaml --v=1
wait

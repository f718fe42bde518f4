# Init program of the control plane.
. /run/lab/settings
. /run/lab/supervise.sh
export PATH=/opt/kubernetes:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
pki=/etc/kubernetes/pki
etcd=http://127.0.0.1:2379

supervise etcd /run/lab/etcd --name=default --data-dir=/var/lib/etcd/data --log-level=warn \
	--listen-client-urls=$etcd --advertise-client-urls=$etcd --listen-peer-urls=http://127.0.0.1:2380 \
	--initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=default=http://127.0.0.1:2380
until curl -sf -m 1 $etcd/health >/dev/null; do sleep 0.05; done

# Without kube-proxy beside it the API server must reach the pods behind a webhook's Service itself (aggregator routing).
# Debian's etcd does not report its progress on request, so a watch that is to begin with a list (WatchList) waits for seconds, now and then
# until it fails; without the feature clients list first, at once.
# shellcheck disable=SC2086 # several flags
supervise kube-apiserver kube-apiserver --etcd-servers=$etcd --bind-address=0.0.0.0 --secure-port=6443 --advertise-address="$IPV4" \
	--service-cluster-ip-range="$SERVICES" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
	--allow-privileged=true --client-ca-file=$pki/ca.crt --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key \
	--service-account-key-file=$pki/sa.crt --service-account-signing-key-file=$pki/sa.key \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--kubelet-client-certificate=$pki/kubelet-client.crt --kubelet-client-key=$pki/kubelet-client.key \
	--kubelet-preferred-address-types=InternalIP --enable-aggregator-routing=true --feature-gates=WatchList=false --profiling=false --v=1 $API_FLAGS

# The others need the roles that the API server makes before it is ready; started earlier they end with "forbidden".
until curl -skf -m 2 --cert $pki/admin.crt --key $pki/admin.key https://127.0.0.1:6443/readyz >/dev/null; do sleep 0.1; done

supervise kube-controller-manager kube-controller-manager --kubeconfig=$pki/kcm.kubeconfig \
	--authentication-kubeconfig=$pki/kcm.kubeconfig --authorization-kubeconfig=$pki/kcm.kubeconfig --leader-elect=false \
	--use-service-account-credentials=true --root-ca-file=$pki/ca.crt --service-account-private-key-file=$pki/sa.key \
	--cluster-signing-cert-file=$pki/ca.crt --cluster-signing-key-file=$pki/ca.key --allocate-node-cidrs=false \
	--node-monitor-grace-period="$GRACE" --v=1
supervise kube-scheduler kube-scheduler --kubeconfig=$pki/scheduler.kubeconfig \
	--authentication-kubeconfig=$pki/scheduler.kubeconfig --authorization-kubeconfig=$pki/scheduler.kubeconfig --leader-elect=false --v=1
wait

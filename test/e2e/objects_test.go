package e2e_test

import (
	"fmt"
	"strings"
)

// peering is what most specs announce through: the router by IPv4 and IPv6, and the GoBGP peer.
const peering = `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: router, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64512, peerAddress: 192.168.126.3}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: router6, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64512, peerAddress: "fd00:126::3"}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: spy, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.168.126.9}
`

// pool is an IPAddressPool.
func pool(name string, addresses ...string) string {
	return fmt.Sprintf(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: %s, namespace: metallb-system}
spec: {addresses: ["%s"]}
`, name, strings.Join(addresses, `", "`))
}

// advertisement is a BGPAdvertisement of one pool; more is further spec, in YAML's flow style, after a comma.
func advertisement(name, pool, more string) string {
	return fmt.Sprintf(`
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: %s, namespace: metallb-system}
spec: {ipAddressPools: [%s]%s}
`, name, pool, more)
}

// service is a Service of type LoadBalancer for the pods labelled app=web.
func service(name, pool, more string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: default, annotations: {metallb.io/address-pool: %s}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]%s}
`, name, pool, more)
}

// web is a pod that answers HTTP, on the given node.
func web(node string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: web-%[1]s, namespace: default, labels: {app: web}}
spec:
  nodeName: %[1]s
  terminationGracePeriodSeconds: 0
  containers:
  - {name: echo, image: "localhost/echo:dev", imagePullPolicy: Never, env: [{name: NODE, value: %[1]s}],
     readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
`, node)
}

// documents joins YAML documents.
func documents(each ...string) string { return strings.Join(each, "\n---\n") }

//go:build tools

// Package kubernetes pins the Kubernetes programs that the lab runs. It is a module of its own because
// k8s.io/kubernetes needs replace directives that would bind the whole project to one Kubernetes release.
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)

//go:build tools

// Package imports names the programs that `cargo xtask control-plane build` compiles. Their version is in go.mod, and
// nowhere else. Kubernetes points its own go.mod into `./staging`, which no other module can follow: each `replace` in
// ours does the same for a published version, and has to change with it.
package imports

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)

//go:build tools

// Package imports names the program that `cargo xtask control-plane build` compiles. Its version is in go.mod, and
// nowhere else.
package imports

import _ "go.etcd.io/etcd/server/v3"

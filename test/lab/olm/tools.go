//go:build tools

// Package olm pins the programs of the Operator Lifecycle Manager that labs run. It is a module of its own because they need replace directives
// and other versions of Kubernetes' libraries than the project.
package olm

import (
	_ "github.com/operator-framework/operator-lifecycle-manager/cmd/catalog"
	_ "github.com/operator-framework/operator-lifecycle-manager/cmd/olm"
	_ "github.com/operator-framework/operator-lifecycle-manager/util/cpb"
)

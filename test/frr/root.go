// Package frr gives tests real FRR daemons: the ones Debian ships, unpacked
// into a cache of the user and run in namespaces of their own, so that nothing
// is installed on the machine and no service of it is touched.
//
// It needs root, for namespaces and chroot, and says so. The first use on a
// machine downloads about 40 MB of Debian packages per release.
package frr

import (
	"context"

	"github.com/seed-551707bd/metallb-operator/test/debian"
)

// Release is the Debian release whose FRR is meant. Its name is the code name
// that Debian's archive uses.
type Release string

const (
	// Bookworm is Debian 12 with FRR 8.4, the oldest FRR this project supports.
	Bookworm Release = "bookworm"
	// Trixie is Debian 13 with FRR 10.3.
	Trixie Release = "trixie"
)

// Releases lists every release that tests run against, the oldest first.
func Releases() []Release { return []Release{Bookworm, Trixie} }

// packages are what an FRR container image holds, with the few tools the
// start-up script of an Instance uses.
const packages = "frr frr-pythontools bash dash coreutils grep sed iproute2 procps tini libpam-modules"

// Root returns the directory that holds the release's FRR with everything it
// needs to run (shell, Python, libraries), ready for chroot. What is inside must
// not be changed.
func Root(ctx context.Context, release Release) (string, error) {
	return debian.Root(ctx, "frr", string(release), packages)
}

package bird

import (
	"context"

	"github.com/seed-551707bd/metallb-operator/test/debian"
)

const (
	// release is the Debian release whose BIRD runs: 2.0.12.
	release = "bookworm"
	// packages are BIRD and what it is started with.
	packages = "base-files bird2 dash coreutils iproute2 mount"
)

// ControlSocket is the socket that birdc talks to, and ConfigFile the file that BIRD reads.
const (
	ControlSocket = "/run/bird.ctl"
	ConfigFile    = "/run/bird.conf"
)

// Root returns the directory that holds BIRD with everything it needs to run, ready for chroot. The first call on a machine downloads it. What is
// inside must not be changed.
func Root(ctx context.Context) (string, error) {
	return debian.Root(ctx, "bird", release, packages)
}

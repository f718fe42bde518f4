package assets

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
)

// Release is the Debian release of every root file system the lab makes. Dockerfile.frr names the same.
const Release = "bookworm"

// nodePackages are what a node runs (containerd, runc, the CNI plugins) and what a person looks at it with. Routers'
// hosts and clients use the same root file system.
const nodePackages = "containerd containernetworking-plugins runc iptables nftables conntrack ethtool iproute2 procps kmod " +
	"socat mount util-linux tcpdump curl jq iputils-ping iputils-arping ndisc6 ca-certificates"

//go:embed chroot.sh
var chrootScript string

// NodeRoot returns the root file system of nodes and clients: Debian with a container runtime.
func (w *Workshop) NodeRoot(ctx context.Context) (string, error) {
	return w.cache.Entry(ctx, cache.Key("rootfs-node", Release, nodePackages, chrootScript), func(ctx context.Context, dir string) error {
		if err := w.copyBase(ctx, dir, "a node"); err != nil {
			return err
		}
		return w.chroot(ctx, dir, "sh", "-c", "apt-get update -qq && exec apt-get install -y -qq --no-install-recommends "+nodePackages)
	})
}

// FRRRoot returns the root file system of the FRR image, made by the file that Dockerfile.frr runs; external routers
// run in it too.
func (w *Workshop) FRRRoot(ctx context.Context) (string, error) {
	inputs, err := folderText(filepath.Join(w.root, FRRInputs))
	if err != nil {
		return "", err
	}
	return w.cache.Entry(ctx, cache.Key("rootfs-frr", Release, inputs, chrootScript), func(ctx context.Context, dir string) error {
		into := filepath.Join(dir, FRRInstallDir)
		if err := w.copyBase(ctx, dir, "FRR"); err != nil {
			return err
		}
		if err := os.MkdirAll(into, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", into, err)
		}
		if err := run(ctx, dir, nil, "cp", "-a", filepath.Join(w.root, FRRInputs)+"/.", into); err != nil {
			return err
		}
		return w.chroot(ctx, dir, filepath.Join(FRRInstallDir, "install"))
	})
}

// FRRInputs is the folder of the checkout that Dockerfile.frr copies into the image, and FRRInstallDir where to.
const (
	FRRInputs     = "images/frr"
	FRRInstallDir = "/usr/share/metallb-frr"
)

// copyBase fills dir with the base system.
func (w *Workshop) copyBase(ctx context.Context, dir, what string) error {
	base, err := w.baseRoot(ctx)
	if err != nil {
		return err
	}
	w.say("making the root file system of %s from Debian %s", what, Release)
	return run(ctx, dir, nil, "cp", "-a", base+"/.", dir)
}

// chroot runs a command inside the root file system at dir.
func (w *Workshop) chroot(ctx context.Context, dir string, command ...string) error {
	unlock, err := w.cache.Lock(ctx, "apt") // one at a time: the package cache is shared
	if err != nil {
		return err
	}
	defer unlock()
	args := append([]string{"--mount", "--propagation", "private", "bash", "-c", chrootScript, "chroot.sh", dir,
		filepath.Join(w.cache.Dir(), "apt")}, command...)
	return run(ctx, dir, nil, "unshare", args...)
}

// baseRoot returns Debian's minimal system, made by debootstrap.
func (w *Workshop) baseRoot(ctx context.Context) (string, error) {
	return w.cache.Entry(ctx, cache.Key("rootfs-base", Release), func(ctx context.Context, dir string) error {
		bootstrap, err := w.debootstrap(ctx)
		if err != nil {
			return err
		}
		if err := needWget(ctx); err != nil {
			return err
		}
		archives := filepath.Join(w.cache.Dir(), "debootstrap")
		if err := os.MkdirAll(archives, 0o755); err != nil {
			return fmt.Errorf("make package cache: %w", err)
		}
		w.say("making a minimal Debian %s (about a minute, once)", Release)
		scripts := filepath.Join(bootstrap, "usr", "share", "debootstrap")
		return run(ctx, dir, []string{"DEBOOTSTRAP_DIR=" + scripts}, filepath.Join(bootstrap, "usr", "sbin", "debootstrap"),
			"--variant=minbase", "--cache-dir="+archives, Release, dir, mirror(ctx))
	})
}

func (w *Workshop) debootstrap(ctx context.Context) (string, error) {
	return w.cache.Entry(ctx, "debootstrap-1", func(ctx context.Context, dir string) error {
		return w.unpackDebian(ctx, "debootstrap", dir)
	})
}

// needWget installs wget, which debootstrap fetches with; it is the one package the lab may add to a machine.
func needWget(ctx context.Context) error {
	if _, err := exec.LookPath("wget"); err == nil || !errors.Is(err, exec.ErrNotFound) {
		return err
	}
	return run(ctx, "/", []string{"DEBIAN_FRONTEND=noninteractive"}, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "wget")
}

// mirror is the Debian archive this machine uses, or Debian's own where it names none.
func mirror(ctx context.Context) string {
	const debian = "http://deb.debian.org/debian"
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages").Output()
	if err != nil {
		return debian // no usable sources on this machine: Debian's own archive serves
	}
	for line := range strings.Lines(string(out)) {
		uri := strings.TrimSuffix(strings.TrimSpace(line), "/")
		if strings.HasPrefix(uri, "http") && strings.HasSuffix(uri, "/debian") {
			return uri
		}
	}
	return debian
}

// folderText is the names and contents of the files in a folder, as one string.
func folderText(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read folder: %w", err)
	}
	var b strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", fmt.Errorf("read %s: %w", e.Name(), err)
		}
		fmt.Fprintf(&b, "%s %d\n%s", e.Name(), len(text), text)
	}
	return b.String(), nil
}

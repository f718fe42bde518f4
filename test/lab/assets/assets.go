// Package assets makes the programs and file systems that a lab runs, out of the Go module proxy and Debian's package
// archive, and keeps them in the cache. Nothing is installed on the machine itself and no service of it is started.
package assets

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// Progress is told what is being done, in one line without line break. It may be called from several goroutines.
type Progress func(format string, args ...any)

// Workshop makes assets from one checkout into one cache.
type Workshop struct {
	cache *cache.Cache
	root  string
	say   Progress
}

// NewWorkshop works for the checkout at root. Say is told before anything slow begins.
func NewWorkshop(c *cache.Cache, root string, say Progress) *Workshop {
	return &Workshop{cache: c, root: root, say: say}
}

// Cache is where the workshop keeps what it makes.
func (w *Workshop) Cache() *cache.Cache { return w.cache }

// Root is the checkout the workshop builds from.
func (w *Workshop) Root() string { return w.root }

// KubernetesVersion is the pinned release, as in "v1.36.3".
func (w *Workshop) KubernetesVersion() (string, error) {
	gomod, err := os.ReadFile(filepath.Join(w.kubernetesModule(), "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read the pinned Kubernetes version: %w", err)
	}
	return source.Requirement(gomod, "k8s.io/kubernetes")
}

func (w *Workshop) kubernetesModule() string {
	return filepath.Join(w.root, "test", "lab", "kubernetes")
}

// Kubernetes returns a folder with static kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy
// and kubectl. A cold build takes about ten minutes of processor time.
func (w *Workshop) Kubernetes(ctx context.Context) (string, error) {
	version, err := w.KubernetesVersion()
	if err != nil {
		return "", err
	}
	return w.cache.Entry(ctx, "kubernetes-"+version, func(ctx context.Context, dir string) error {
		programs := []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}
		for i, program := range programs {
			w.say("building %s %s (%d of %d; once per version, the first takes minutes)", program, version, i+1, len(programs))
			err := run(ctx, w.kubernetesModule(), []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false",
				"-ldflags", kubernetesLinkFlags(version), "-o", filepath.Join(dir, program), "k8s.io/kubernetes/cmd/"+program)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// kubernetesLinkFlags strips the program and stamps its version, which Kubernetes refuses to start without.
func kubernetesLinkFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	stamps := [][2]string{
		{"gitVersion", version}, {"gitMajor", parts[0]}, {"gitMinor", parts[1]}, {"gitTreeState", "clean"},
		{"gitCommit", strings.Repeat("0", 40)}, {"buildDate", "1970-01-01T00:00:00Z"},
	}
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, s := range stamps {
			flags = append(flags, "-X", pkg+"."+s[0]+"="+s[1])
		}
	}
	return strings.Join(flags, " ")
}

// Etcd returns the path of Debian's etcd server, unpacked and not installed, so that its service does not start.
func (w *Workshop) Etcd(ctx context.Context) (string, error) {
	dir, err := w.cache.Entry(ctx, "etcd-1", func(ctx context.Context, dir string) error {
		w.say("fetching etcd from Debian")
		return w.unpackDebian(ctx, "etcd-server", dir)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "usr", "bin", "etcd"), nil
}

// UserModeLinux returns a folder with Debian's package of a kernel that runs as a program, usr/bin/linux.uml, and its modules, unpacked.
func (w *Workshop) UserModeLinux(ctx context.Context) (string, error) {
	return w.cache.Entry(ctx, "user-mode-linux-1", func(ctx context.Context, dir string) error {
		w.say("fetching User-mode Linux from Debian")
		return w.unpackDebian(ctx, "user-mode-linux", dir)
	})
}

// unpackDebian lays the files of one Debian package out under dir.
func (w *Workshop) unpackDebian(ctx context.Context, name, dir string) error {
	debs, err := os.MkdirTemp(filepath.Join(w.cache.Dir(), ".tmp"), "deb-")
	if err != nil {
		return fmt.Errorf("make folder for package %s: %w", name, err)
	}
	defer os.RemoveAll(debs)
	if err := run(ctx, debs, nil, "apt-get", "download", "-qq", name); err != nil {
		// A fresh machine has no package lists yet.
		if err := run(ctx, debs, nil, "apt-get", "update", "-qq"); err != nil {
			return err
		}
		if err := run(ctx, debs, nil, "apt-get", "download", "-qq", name); err != nil {
			return err
		}
	}
	found, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return fmt.Errorf("look for the archive of package %s: %w", name, err)
	}
	if len(found) != 1 {
		return fmt.Errorf("download package %s: found %d archives, want 1", name, len(found))
	}
	return run(ctx, debs, nil, "dpkg-deb", "-x", found[0], dir)
}

// run runs a program to its end; what it printed is part of the error.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, tail(out.String(), 2000))
	}
	return nil
}

// tail is the last part of text, at most n bytes.
func tail(text string, n int) string {
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-n):]
}

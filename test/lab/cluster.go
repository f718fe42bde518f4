package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/lab/pki"
)

// apiURL is where the API server of every lab listens, in the lab's own namespace.
func apiURL() string {
	return "https://" + netip.AddrPortFrom(segmentAddresses(controlPlaneHost).IPv4, 6443).String()
}

// writeKeys makes the cluster's authority, every component's key and kubeconfig.
func (l *Lab) writeKeys(s *state) error {
	authority, err := pki.NewAuthority("lab-"+s.Prefix, time.Now())
	if err != nil {
		return err
	}
	tokens, err := pki.SigningKey()
	if err != nil {
		return err
	}
	control := segmentAddresses(controlPlaneHost)
	server := pki.Request{User: "kube-apiserver",
		Names: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
		Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), control.IPv4, control.IPv6,
			netip.MustParsePrefix(ServiceRange4).Addr().Next(), netip.MustParsePrefix(ServiceRange6).Addr().Next()}}
	users := map[string]pki.Request{
		"apiserver":      server,
		"kubelet-client": {User: "apiserver-kubelet-client", Groups: []string{"system:masters"}},
		"admin":          {User: "admin", Groups: []string{"system:masters"}},
		"kcm":            {User: "system:kube-controller-manager"},
		"scheduler":      {User: "system:kube-scheduler"},
		"proxy":          {User: "system:kube-proxy"},
	}
	for i := 1; i <= s.Nodes; i++ {
		users[NodeName(i)] = pki.Request{User: "system:node:" + NodeName(i), Groups: []string{"system:nodes"}}
	}
	files := map[string][]byte{"ca.crt": authority.Pair().Cert, "ca.key": authority.Pair().Key, "sa.crt": tokens.Cert, "sa.key": tokens.Key}
	for name, request := range users {
		pair, err := authority.Issue(request)
		if err != nil {
			return err
		}
		files[name+".crt"], files[name+".key"] = pair.Cert, pair.Key
		files[name+".kubeconfig"] = pki.Kubeconfig(apiURL(), authority.Pair().Cert, pair)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(l.dir, "pki", name), content, 0o600); err != nil {
			return fmt.Errorf("write key file: %w", err)
		}
	}
	return nil
}

// KubeconfigFile is the administrator's kubeconfig. Its address is reachable only inside the lab's namespaces, as by
// Kubectl.
func (l *Lab) KubeconfigFile() string { return filepath.Join(l.dir, "pki", "admin.kubeconfig") }

// Config is the administrator's client configuration for use in this process, without client-side rate limit.
// Connections are opened inside the lab's namespace and are plain sockets from then on.
func (l *Lab) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.KubeconfigFile())
	if err != nil {
		return nil, fmt.Errorf("read the lab's kubeconfig: %w", err)
	}
	config.Dial = l.Dialer(ControlPlaneName)
	config.QPS = -1
	return config, nil
}

// Dialer opens connections as the named machine would. Addresses must be IP literals.
func (l *Lab) Dialer(machine string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return netns.Dialer(l.Netns(machine))
}

// HTTPClient makes requests as the named machine would, each over a connection of its own, as a new curl would.
func (l *Lab) HTTPClient(machine string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: l.Dialer(machine), DisableKeepAlives: true}, Timeout: 5 * time.Second}
}

// KubectlCommand prepares a kubectl of the cluster's version, as administrator, on this machine's file system.
func (l *Lab) KubectlCommand(ctx context.Context, args ...string) (*exec.Cmd, error) {
	s, err := l.state()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + netns.Path(l.Netns(ControlPlaneName)),
		filepath.Join(s.Programs, "kubectl"), "--kubeconfig=" + l.KubeconfigFile()}, args...)...), nil
}

// Kubectl runs kubectl as administrator and returns what it printed.
func (l *Lab) Kubectl(ctx context.Context, args ...string) (string, error) {
	cmd, err := l.KubectlCommand(ctx, args...)
	if err != nil {
		return "", err
	}
	return output(cmd, "kubectl")
}

func (l *Lab) client() (kubernetes.Interface, error) {
	config, err := l.Config()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the lab's API server: %w", err)
	}
	return client, nil
}

// waitAPI returns when the API server is ready and the default ServiceAccount exists, without which no pod can be made.
func (l *Lab) waitAPI(ctx context.Context) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	return l.poll(ctx, "the API server", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// waitNodes returns when all nodes are Ready.
func (l *Lab) waitNodes(ctx context.Context, nodes int) error {
	for i := 1; i <= nodes; i++ {
		if err := l.WaitNode(ctx, NodeName(i), true); err != nil {
			return err
		}
	}
	return nil
}

// WaitNode returns when Kubernetes holds the node for Ready, or for not Ready.
func (l *Lab) WaitNode(ctx context.Context, name string, ready bool) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("node %s to be Ready", name)
	if !ready {
		what = fmt.Sprintf("node %s not to be Ready", name)
	}
	return l.poll(ctx, what, func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := isReady(node); got != ready {
			return fmt.Errorf("its condition Ready is %v", got)
		}
		return nil
	})
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// poll asks until try succeeds, ctx ends or the control plane is gone.
func (l *Lab) poll(ctx context.Context, what string, try func(ctx context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if m, merr := l.machine(ControlPlaneName); merr != nil || !m.Process.alive() {
			return errors.Join(fmt.Errorf("wait for %s: the control plane has ended: %s", what, l.bootLog(ControlPlaneName)), merr)
		}
		if perr := pause(ctx, 100*time.Millisecond); perr != nil {
			return fmt.Errorf("wait for %s: %w; the last answer was: %w", what, perr, err)
		}
	}
}

// LoadImage imports an image archive into every node that is on.
func (l *Lab) LoadImage(ctx context.Context, archive string) error {
	return l.onNodes(func(node string) error { return l.loadInto(ctx, node, archive) })
}

// onNodes does something on all nodes that are on, at the same time.
func (l *Lab) onNodes(do func(node string) error) error {
	s, err := l.state()
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, m := range s.sorted() {
		if m.Kind == kindNode && m.Process.alive() {
			group.Go(func() error { return do(m.Name) })
		}
	}
	return group.Wait()
}

func (l *Lab) loadInto(ctx context.Context, node, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open image archive: %w", err)
	}
	defer f.Close()
	cmd, err := l.Command(ctx, node, "ctr", "-n", "k8s.io", "images", "import", "-")
	if err != nil {
		return err
	}
	cmd.Stdin = f
	_, err = output(cmd, "load image "+archive+" into "+node)
	return err
}

// LoadPrograms builds this project's programs from the checkout, loads their image into every node that is on and
// returns its reference. Pods take it when they are made anew.
func (l *Lab) LoadPrograms(ctx context.Context) (string, error) {
	w, err := l.workshop()
	if err != nil {
		return "", err
	}
	image, err := w.Programs(ctx)
	if err != nil {
		return "", err
	}
	return image.Reference, l.LoadImage(ctx, image.Archive)
}

// LoadProgramsVersion is LoadPrograms for another version of them (assets.Workshop.ProgramsVersion).
func (l *Lab) LoadProgramsVersion(ctx context.Context, version string) (string, error) {
	w, err := l.workshop()
	if err != nil {
		return "", err
	}
	image, err := w.ProgramsVersion(ctx, version)
	if err != nil {
		return "", err
	}
	return image.Reference, l.LoadImage(ctx, image.Archive)
}

package lab

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// Status is what a person wants to know of one machine.
type Status struct {
	Name      string
	Kind      string // control-plane, node, router, client, host, gobgp, bird
	On        bool
	Connected bool // its cable is whole
	Segment   Addresses
	Outside   Addresses
	Ready     bool // nodes: what Kubernetes thinks
	Netns     string
}

// Status lists the lab's machines.
func (l *Lab) Status(ctx context.Context) ([]Status, error) {
	s, err := l.state()
	if err != nil {
		return nil, err
	}
	ready := map[string]bool{}
	if client, err := l.client(); err == nil && s.Machines[ControlPlaneName].Process.alive() {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list the cluster's nodes: %w", err)
		}
		for _, n := range nodes.Items {
			ready[n.Name] = isReady(&n)
		}
	}
	var all []Status
	for _, m := range s.sorted() {
		connected, err := carrier(s, m)
		if err != nil {
			return nil, err
		}
		all = append(all, Status{Name: m.Name, Kind: string(m.Kind), On: m.Process.alive(), Connected: connected,
			Segment: m.Segment, Outside: m.Outside, Ready: ready[m.Name], Netns: m.Netns})
	}
	return all, nil
}

// List names the labs whose state is in the folder, "" for the default one.
func List(folder string) ([]string, error) {
	if folder == "" {
		folder = DefaultFolder
	}
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && validName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Routes lists the routes in a machine's kernel.
func (l *Lab) Routes(machine string) ([]netns.Route, error) { return netns.Routes(l.Netns(machine)) }

// WatchRoutes follows the routes in a machine's kernel until ctx ends; the subscription exists when it returns.
func (l *Lab) WatchRoutes(ctx context.Context, machine string) (iter.Seq2[netns.RouteEvent, error], error) {
	return netns.WatchRoutes(ctx, l.Netns(machine))
}

// SpeakerVtysh runs FRR's commands in the FRR container of the speaker pod on a node, as a user would with kubectl exec.
func (l *Lab) SpeakerVtysh(ctx context.Context, namespace, node string, commands ...string) (string, error) {
	client, err := l.client()
	if err != nil {
		return "", err
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "component=speaker", FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return "", fmt.Errorf("find the speaker on %s: %w", node, err)
	}
	if len(pods.Items) == 0 {
		return "", fmt.Errorf("namespace %s has no pod with label component=speaker on node %s", namespace, node)
	}
	args := []string{"exec", "--namespace", namespace, pods.Items[0].Name, "--container", "frr", "--", "vtysh"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return l.Kubectl(ctx, args...)
}

// Logs names the log files of a machine, of all machines where the name is "".
func (l *Lab) Logs(machine string) ([]string, error) {
	entries, err := os.ReadDir(l.LogDir())
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var files []string
	for _, e := range entries {
		if machine == "" || strings.HasPrefix(e.Name(), machine+"-") {
			files = append(files, e.Name())
		}
	}
	slices.Sort(files)
	return files, nil
}

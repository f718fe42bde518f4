package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// prefixes of the labs that these tests bring up, out of the way of a person's own.
const mainPrefix, otherPrefix, killedPrefix = "tlab", "tother", "tkilled"

// workload is two pods that echo and a Service, whose address the test gives by hand.
const workload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]
      containers:
      - {name: echo, image: "localhost/echo:dev", imagePullPolicy: IfNotPresent, env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`

// address is the Service's; the router gets static routes to it, as its nodes run no speaker here.
const address = "198.51.100.10"

func TestGivenALabOfTwoNodesWhenItIsUsedAndBrokenThenItBehavesLikeACluster(t *testing.T) {
	l := bringUp(t, lab.Options{Prefix: mainPrefix, Nodes: 2, WithoutPrograms: true, NodeMonitorGrace: 12 * time.Second})
	serve(t, l)
	// In order: each leaves the lab as it found it.
	t.Run("a client behind the router reaches the Service's address through each node", func(t *testing.T) {
		for i := 1; i <= 2; i++ {
			routeVia(t, l, i)
			reaches(t, l, lab.NodeName(i))
		}
	})
	t.Run("a node that loses its power is noticed and comes back with its disk", func(t *testing.T) { losePower(t, l) })
	t.Run("a cut cable is cut and a mended one is whole", func(t *testing.T) { loseCable(t, l) })
	t.Run("a GoBGP peer says what a router announces and withdraws", func(t *testing.T) { spy(t, l) })
	t.Run("a BIRD router says what a router announces and withdraws", func(t *testing.T) { askBIRD(t, l) })
	t.Run("another router takes part", func(t *testing.T) { secondRouter(t, l) })
	t.Run("a host on the segment is answered, and the switch hears by whom", func(t *testing.T) { askOnTheSegment(t, l) })
	t.Run("nodes are split and healed", func(t *testing.T) { split(t, l) })
	t.Run("a second lab neither sees the first nor harms it", func(t *testing.T) { secondLab(t, l) })
	t.Run("a lab that is up is not replaced", func(t *testing.T) {
		if _, err := lab.Up(t.Context(), lab.Options{Prefix: mainPrefix}); err == nil || !strings.Contains(err.Error(), "is up already") {
			t.Errorf("bring up the same lab again: %v, want an error that says it is up already", err)
		}
	})
}

// bringUp brings a lab up for the test and checks at its end that it leaves nothing.
func bringUp(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	o.Progress = t.Logf
	if err := lab.Down(t.Context(), o.Folder, o.Prefix, t.Logf); err != nil { // what a run left that was killed
		t.Fatal(err)
	}
	began := time.Now()
	l, err := lab.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %.1f s", time.Since(began).Seconds())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := l.Down(ctx); err != nil {
			t.Errorf("take the lab down: %v", err)
		}
		leavesNothing(t, o.Prefix)
	})
	return l
}

// leavesNothing fails the test for everything that carries the prefix: namespaces, control groups, processes, mounts, files.
func leavesNothing(t *testing.T, prefix string) {
	t.Helper()
	namespaces, err := filepath.Glob(netns.Path(prefix + "-*"))
	groups, gerr := filepath.Glob("/sys/fs/cgroup/*/metallb-lab-" + prefix)
	unified, uerr := filepath.Glob("/sys/fs/cgroup/metallb-lab-" + prefix)
	mounts, merr := os.ReadFile("/proc/self/mounts")
	if err := errors.Join(err, gerr, uerr, merr); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(lab.DefaultFolder, prefix)
	if left := slices.Concat(namespaces, groups, unified, processesOf(t, dir+"/")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("mounts below %s are left", dir)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder %s is left (error %v)", dir, err)
	}
}

// processesOf lists the processes whose command line names a file below dir.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), dir) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

func serve(t *testing.T, l *lab.Lab) {
	t.Helper()
	cmd, err := l.KubectlCommand(t.Context(), "apply", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = strings.NewReader(workload)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apply the workload: %v: %s", err, out)
	}
	kubectl(t, l, "rollout", "status", "deployment/web", "--timeout=90s")
	kubectl(t, l, "patch", "service", "web", "--subresource=status", "--type=merge",
		"-p", `{"status":{"loadBalancer":{"ingress":[{"ip":"`+address+`"}]}}}`)
}

func kubectl(t *testing.T, l *lab.Lab, args ...string) string {
	t.Helper()
	out, err := l.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// routeVia points the router's route to the Service's address at one node.
func routeVia(t *testing.T, l *lab.Lab, node int) {
	t.Helper()
	if _, err := l.Exec(t.Context(), lab.RouterName, "ip", "route", "replace", address, "via", lab.NodeAddresses(node).IPv4.String()); err != nil {
		t.Fatal(err)
	}
}

// reaches waits until the client gets an answer from a pod on the node, which must see the client's own address.
func reaches(t *testing.T, l *lab.Lab, node string) {
	t.Helper()
	want := []string{"node=" + node + " ", "remote=" + lab.ClientAddresses().IPv4.String() + ":"}
	eventually(t, "an answer from "+node, func(ctx context.Context) error {
		body, err := get(ctx, l, "http://"+address+"/")
		if err != nil {
			return err
		}
		for _, part := range want {
			if !strings.Contains(body, part) {
				return fmt.Errorf("the answer is %q, want it to hold %q", body, part)
			}
		}
		return nil
	})
}

func get(ctx context.Context, l *lab.Lab, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := l.HTTPClient(lab.ClientName).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// eventually tries until it works, for up to a minute and a half.
func eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error // that is not only the end of the time
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v", what, errors.Join(ctx.Err(), last))
		case <-tick.C:
		}
	}
}

func losePower(t *testing.T, l *lab.Lab) {
	t.Helper()
	ctx := t.Context()
	if _, err := l.Exec(ctx, "n2", "sh", "-c", "echo kept >/root/note"); err != nil {
		t.Fatal(err)
	}
	if err := l.PowerOff(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Exec(ctx, "n2", "true"); err == nil {
		t.Error("a command ran in a node that is off")
	}
	if err := l.WaitNode(ctx, "n2", false); err != nil {
		t.Fatal(err)
	}
	if err := l.Boot(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitNode(ctx, "n2", true); err != nil {
		t.Fatal(err)
	}
	if note, err := l.Exec(ctx, "n2", "cat", "/root/note"); err != nil || note != "kept\n" {
		t.Errorf("the note is %q, error %v; want what was written before the power went", note, err)
	}
	kubectl(t, l, "rollout", "status", "deployment/web", "--timeout=90s")
	routeVia(t, l, 2)
	reaches(t, l, "n2")
}

func loseCable(t *testing.T, l *lab.Lab) {
	t.Helper()
	ping := func(ctx context.Context) error {
		_, err := l.Exec(ctx, lab.ClientName, "ping", "-c", "1", "-W", "1", lab.NodeAddresses(1).IPv6.String())
		return err
	}
	eventually(t, "a ping before the cut", ping)
	if err := l.Cut("n1"); err != nil {
		t.Fatal(err)
	}
	if ping(t.Context()) == nil {
		t.Error("a ping got through a cut cable")
	}
	if err := l.Restore("n1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a ping after the cable is mended", ping)
	if err := l.Cut("n1", "eth1"); err == nil {
		t.Error("a cable was cut that the node does not have")
	}
}

// spy checks the whole of a GoBGP peer against the router: session, paths with attributes, updates, kernel routes.
func spy(t *testing.T, l *lab.Lab) {
	t.Helper()
	config := lab.RouterConfig(64512, lab.RouterAddresses().IPv4, lab.Neighbor{Address: lab.SegmentAddresses(200).IPv4, ASN: 64513}) +
		"router bgp 64512\n address-family ipv4 unicast\n  network 203.0.113.0/24 route-map marked\n" +
		"ip route 203.0.113.0/24 blackhole\nroute-map marked permit 10\n set community 64512:77\n set large-community 64512:1:2\n set metric 50\n"
	if err := l.ConfigureRouter(t.Context(), lab.RouterName, config); err != nil {
		t.Fatal(err)
	}
	peer, err := l.AddGoBGP(t.Context(), lab.GoBGP{Name: "spy", Host: 200, ASN: 64513,
		Neighbors: []gobgp.Neighbor{{Address: lab.RouterAddresses().IPv4, ASN: 64512}}})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	prefix := netip.MustParsePrefix("203.0.113.0/24")
	eventually(t, "the router's path", func(ctx context.Context) error {
		paths, err := peer.Paths(ctx)
		if err == nil && len(paths) != 1 {
			err = fmt.Errorf("paths are %+v, want one", paths)
		}
		if err != nil {
			return err
		}
		got := paths[0]
		if got.Prefix != prefix || got.Neighbor != lab.RouterAddresses().IPv4 || !slices.Equal(got.ASPath, []uint32{64512}) || got.MED == nil || *got.MED != 50 ||
			!slices.Equal(got.Communities, []string{"64512:77"}) || !slices.Equal(got.LargeCommunities, []string{"64512:1:2"}) {
			t.Errorf("path %+v, want %s with MED 50, community 64512:77 and large community 64512:1:2", got, prefix)
		}
		return nil
	})
	sessions, err := peer.Sessions(t.Context())
	if err != nil || len(sessions) != 1 || !sessions[0].Established || sessions[0].Received != 1 || sessions[0].Since.IsZero() {
		t.Errorf("sessions %+v, error %v; want one that is established, with one path", sessions, err)
	}
	seesWithdrawal(t, l, peer, prefix)
}

func seesWithdrawal(t *testing.T, l *lab.Lab, peer *gobgp.Peer, prefix netip.Prefix) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	updates, err := peer.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Whether GoBGP has begun to watch cannot be asked, so the route goes and comes until it is seen to. Each step waits for the one before
	// to arrive: bgpd sends nothing at all of a route that goes and comes within its own timers.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for _, step := range []struct {
				command string
				paths   int
			}{{"no network " + prefix.String(), 0}, {"network " + prefix.String() + " route-map marked", 1}} {
				if _, err := l.Vtysh(ctx, lab.RouterName, "configure terminal", "router bgp 64512", "address-family ipv4 unicast", step.command); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				awaitPaths(ctx, t, peer, step.paths)
			}
		}
	}()
	began, withdrawn := time.Now(), false
	for u, err := range updates {
		if err != nil {
			t.Fatal(err)
		}
		if u.Withdrawn && u.Path.Prefix == prefix && u.Path.Neighbor == lab.RouterAddresses().IPv4 && u.Time.After(began) {
			withdrawn = true
			break
		}
	}
	cancel()
	<-done
	if !withdrawn {
		t.Errorf("no withdrawal of %s was seen", prefix)
	}
}

// awaitPaths waits until the peer has n paths, or ctx ends.
func awaitPaths(ctx context.Context, t *testing.T, peer *gobgp.Peer, n int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		paths, err := peer.Paths(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.Error(err)
			return
		case len(paths) == n:
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func secondRouter(t *testing.T, l *lab.Lab) {
	t.Helper()
	own, first := lab.SegmentAddresses(4), lab.RouterAddresses()
	config := func(self, other lab.Addresses, extra string) string {
		return lab.RouterConfig(64514, self.IPv4, lab.Neighbor{Address: other.IPv4, ASN: 64514, BFD: true}) + extra
	}
	if err := l.AddRouter(t.Context(), lab.Router{Name: "r2", Host: 4, Config: config(own, first,
		"router bgp 64514\n address-family ipv4 unicast\n  network 203.0.113.128/25\nip route 203.0.113.128/25 blackhole\n")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	events, err := l.WatchRoutes(ctx, lab.RouterName)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.ConfigureRouter(ctx, lab.RouterName, config(first, own, "")); err != nil {
		t.Fatal(err)
	}
	want := netip.MustParsePrefix("203.0.113.128/25")
	for e, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		if e.Route.Prefix == want && !e.Deleted && slices.Equal(e.Route.NextHops, []netip.Addr{own.IPv4}) && e.Route.Protocol == netns.BGP {
			return
		}
	}
	t.Errorf("the route to %s never came", want)
}

func secondLab(t *testing.T, first *lab.Lab) {
	t.Helper()
	second := bringUp(t, lab.Options{Prefix: otherPrefix})
	if a, b := clusterID(t, first), clusterID(t, second); a == b {
		t.Errorf("both labs are cluster %s", a)
	}
	names, err := lab.List("")
	if err != nil || !slices.Contains(names, mainPrefix) || !slices.Contains(names, otherPrefix) {
		t.Errorf("labs are %v, error %v; want %s and %s among them", names, err, mainPrefix, otherPrefix)
	}
	if err := second.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, err := first.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range status {
		if !s.On || !s.Connected {
			t.Errorf("after the second lab went down, %s of the first is on: %v, connected: %v", s.Name, s.On, s.Connected)
		}
	}
}

func clusterID(t *testing.T, l *lab.Lab) string {
	t.Helper()
	config, err := l.Config()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(namespace.UID)
}

func TestGivenALabWhoseStarterWasKilledWhenItIsBroughtUpOrTakenDownThenNothingOfItIsLeft(t *testing.T) {
	t.Cleanup(func() { leavesNothing(t, killedPrefix) })
	program := buildProgram(t)
	killStarter(t, program)
	// Up removes what it finds of a dead starter and goes on.
	l := bringUp(t, lab.Options{Prefix: killedPrefix})
	if err := l.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	killStarter(t, program)
	if err := lab.Down(t.Context(), "", killedPrefix, t.Logf); err != nil {
		t.Fatal(err)
	}
	leavesNothing(t, killedPrefix)
	if err := lab.Down(t.Context(), "", killedPrefix, t.Logf); err != nil {
		t.Errorf("take a lab down that is not there: %v", err)
	}
}

// buildProgram builds the lab's command line.
func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "lab")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/lab")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the lab program: %v: %s", err, out)
	}
	return program
}

// killStarter starts a lab in a process of its own and kills that process when the lab's first machine runs.
func killStarter(t *testing.T, program string) {
	t.Helper()
	starter := exec.CommandContext(t.Context(), program, "--prefix", killedPrefix, "up", "--nodes", "0")
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the control plane's processes", func(context.Context) error {
		if _, err := os.Stat(filepath.Join(lab.DefaultFolder, killedPrefix, "log", "cp-etcd.log")); err != nil {
			return err
		}
		return nil
	})
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := starter.Wait(); err == nil {
		t.Fatal("the starter had finished before it was killed")
	}
	if len(processesOf(t, filepath.Join(lab.DefaultFolder, killedPrefix)+"/")) == 0 {
		t.Fatal("the killed starter's machines are gone already, so nothing is tested")
	}
}

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

const (
	labPrefix = "bench"
	asn       = 64512
	// configuration gives the many Services one pool, and leaves addresses that sort before and after all of theirs to those that ask.
	configuration = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: many, namespace: metallb-system}
spec: {addresses: [10.20.0.0/16]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: edges, namespace: metallb-system}
spec: {addresses: [10.19.255.0/24, 10.21.0.0/24], autoAssign: false}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: router, namespace: metallb-system}
spec: {peerAddress: 192.168.126.3, peerASN: 64512, myASN: 64512}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: all, namespace: metallb-system}
spec: {ipAddressPools: [many, edges], communities: ["64512:100"], localPref: 100}
`
	// pause is the time after each act that is measured: longer than any timer that FRR started for it.
	pause = 200 * time.Millisecond
)

// bench is what TestMain brought up; benchmarks have no other way to share it.
var bench *scene

// scene is the product at work in a lab, and what observes it.
type scene struct {
	*product.Product
	objects   *Workload
	ctx       context.Context
	routes    *Routes
	addresses *Addresses
	floor     *Floor
	log       *ReloaderLog
	processes Processes
	report    *Report
}

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		os.Exit(m.Run()) // the tests of this package need no lab
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := runInLab(ctx, m.Run)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// runInLab runs the benchmarks in a lab of their own and prints what they found.
func runInLab(ctx context.Context, run func() int) (code int, err error) {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%5.0fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := bringUp(ctx, say)
	if err != nil {
		return 1, err // what is up under this name is somebody else's
	}
	defer func() {
		cancel() // who follows the lab is not to notice its end
		clean, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer done()
		err = errors.Join(err, lab.Down(clean, "", labPrefix, say))
	}()
	if bench, err = setUp(ctx, l, say); err != nil {
		return 1, err
	}
	defer bench.floor.Close()
	code = run()
	if code != 0 {
		text, err := bench.Kubectl(context.WithoutCancel(ctx), "logs", "--namespace", product.Namespace, "--selector", "app=metallb",
			"--all-containers", "--prefix", "--tail=40")
		fmt.Fprintln(os.Stderr, text, err)
	}
	machine, err := Machine(began)
	if err != nil {
		return 1, err
	}
	fmt.Printf("\n%s %d samples of each act, %.0f minutes.\n%s\n", machine, samples(), time.Since(began).Minutes(), bench.report)
	say("done")
	return code, nil
}

// samples is what -benchtime asks for.
func samples() int {
	n, err := strconv.Atoi(strings.TrimSuffix(flag.Lookup("test.benchtime").Value.String(), "x"))
	if err != nil {
		return 0
	}
	return n
}

// bringUp brings up the lab, with a session of the router for the node and one for the floor.
func bringUp(ctx context.Context, say func(string, ...any)) (*lab.Lab, error) {
	config := lab.RouterConfig(asn, lab.RouterAddresses().IPv4, lab.Neighbor{Address: lab.NodeAddresses(1).IPv4, ASN: asn},
		lab.Neighbor{Address: lab.SegmentAddresses(floorHost).IPv4, ASN: asn})
	return lab.Up(ctx, lab.Options{Prefix: labPrefix, Nodes: 1, RouterConfig: config, Progress: say})
}

// setUp installs the product in the lab and waits for a first route at the router.
func setUp(ctx context.Context, l *lab.Lab, say func(string, ...any)) (*scene, error) {
	say("installing the product")
	p, err := product.In(l)
	if err != nil {
		return nil, err
	}
	if err := p.Install(ctx); err != nil {
		return nil, err
	}
	if err := p.Apply(ctx, configuration); err != nil {
		return nil, err
	}
	s := &scene{Product: p, ctx: ctx, report: NewReport(idleTitle, burstTitle, valuesTitle, stagesTitle, writesTitle, memoryTitle, cpuTitle)}
	if err := s.observe(ctx); err != nil {
		return nil, err
	}
	say("waiting for the sessions")
	return s, s.first(ctx)
}

// observe makes clients and starts what follows routes and addresses.
func (s *scene) observe(ctx context.Context) error {
	config, err := s.Config()
	if err != nil {
		return err
	}
	writer, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if s.objects, err = NewWorkload(ctx, writer); err != nil {
		return err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf" // who observes should cost little
	observer, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if s.routes, err = FollowRoutes(ctx, s.Lab, lab.RouterName); err != nil {
		return err
	}
	if s.addresses, err = FollowAddresses(ctx, observer, namespace); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if s.floor, err = AddFloor(limited, s.Lab, asn); err != nil {
		return err
	}
	if s.processes, err = FindProcesses(labPrefix); err != nil {
		return err
	}
	s.log, err = OpenReloaderLog(s.Lab, product.Namespace)
	return err
}

// first waits until a route of each of the two gets to the router, which shows that their sessions are up, and removes both.
func (s *scene) first(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := s.objects.PrepareOne(ctx, single); err != nil {
		return err
	}
	if err := s.objects.Create(ctx, single, Kind{}); err != nil {
		return err
	}
	if err := s.floor.Announce(floorPrefix); err != nil {
		return err
	}
	if err := s.routes.Count(ctx, 2); err != nil {
		return err
	}
	if err := s.floor.Withdraw(floorPrefix); err != nil {
		return err
	}
	if err := s.objects.Delete(ctx, single); err != nil {
		return err
	}
	return s.routes.Count(ctx, 0)
}

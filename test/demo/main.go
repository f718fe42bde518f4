// Demo shows the product doing its job: it brings up a cluster in network namespaces with a router and a client behind it, installs the
// operator, applies the objects of config/samples/demo, and prints what a user wants to see.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

const (
	prefix    = "demo"
	nodes     = 2
	sampleDir = "config/samples/demo"
)

var service = client.ObjectKey{Namespace: "onp-metallb", Name: "echoserver"}

func main() {
	down := flag.Bool("down", false, "take the demo's cluster down")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%5.0fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	run := show
	if *down {
		run = func(ctx context.Context, say func(string, ...any)) error { return lab.Down(ctx, "", prefix, say) }
	}
	if err := run(ctx, say); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		fmt.Fprintln(os.Stderr, "What there is of the cluster stays up to be looked at; \"make demo-down\" removes it.")
		stop()
		os.Exit(1)
	}
}

func show(ctx context.Context, say func(string, ...any)) error {
	l, err := lab.Up(ctx, lab.Options{Prefix: prefix, Nodes: nodes, Progress: say})
	if err != nil {
		return err
	}
	p, err := product.In(l)
	if err != nil {
		return err
	}
	say("installing the operator: kubectl apply -k config/default")
	if err := p.ApplyKustomization(ctx, "config/default"); err != nil {
		return err
	}
	if _, err := p.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"); err != nil {
		return err
	}
	say("applying the objects: kubectl apply -k %s", sampleDir)
	if err := p.ApplyKustomization(ctx, sampleDir); err != nil {
		return err
	}
	say("waiting for controller and speakers")
	if err := p.WaitAvailable(ctx); err != nil {
		return err
	}
	say("waiting for the Service's address and its route at the router")
	addresses, err := p.Addresses(ctx, service, 1)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("http://%s:8080/", addresses[0])
	answer, err := request(ctx, p, url)
	if err != nil {
		return err
	}
	say("done")
	return report(ctx, p, addresses[0], url, answer)
}

// request asks the Service from the client behind the router, as often as it takes: the answer proves route, session and address.
func request(ctx context.Context, p *product.Product, url string) (string, error) {
	var answer string
	err := product.Eventually(ctx, time.Minute, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := p.HTTPClient(lab.ClientName).Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
		}
		answer = string(body)
		return nil
	})
	return answer, err
}

// report prints what a user wants to see, each with the command that shows it.
func report(ctx context.Context, p *product.Product, address, url, answer string) error {
	views := []struct {
		command string
		look    func() (string, error)
	}{
		{"kubectl get service --namespace onp-metallb", func() (string, error) {
			return p.Kubectl(ctx, "get", "service", "--namespace", service.Namespace)
		}},
		{"vtysh -c 'show bgp summary'      (in container frr of the speaker on node n1)", func() (string, error) {
			return p.SpeakerVtysh(ctx, product.Namespace, lab.NodeName(1), "show bgp summary")
		}},
		{"vtysh -c 'show bgp ipv4 unicast " + address + "/32'      (on the router)", func() (string, error) {
			return p.Vtysh(ctx, lab.RouterName, "show bgp ipv4 unicast "+address+"/32")
		}},
		{"curl " + url + "      (on the client behind the router)", func() (string, error) { return answer, nil }},
	}
	for _, view := range views {
		text, err := view.look()
		if err != nil {
			return err
		}
		fmt.Printf("\n$ %s\n%s\n", view.command, strings.TrimRight(text, "\n"))
	}
	fmt.Printf(`
Look around:
  go run ./test/lab/cmd/lab --prefix %[1]s status
  go run ./test/lab/cmd/lab --prefix %[1]s kubectl get pods --all-namespaces
  go run ./test/lab/cmd/lab --prefix %[1]s vtysh router -c 'show bgp summary'
  go run ./test/lab/cmd/lab --prefix %[1]s vtysh n1 -c 'show bgp summary'
  go run ./test/lab/cmd/lab --prefix %[1]s client curl -s %[2]s
Take it down:
  make demo-down
`, prefix, url)
	return nil
}

// The command chart writes the Helm chart, charts/metallb-operator of the checkout it is run in, from config/.
//
//	go run ./hack/chart
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-551707bd/metallb-operator/config/helm"
)

func main() {
	root := flag.String("root", ".", "the checkout")
	flag.Parse()
	if err := run(context.Background(), *root); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string) error {
	chart, err := helm.Load(ctx, root)
	if err != nil {
		return err
	}
	return chart.Write(filepath.Join(root, filepath.FromSlash(helm.Folder)))
}

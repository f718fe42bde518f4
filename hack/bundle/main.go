// The command bundle writes the OLM package: bundle/ and catalog/ of the checkout it is run in.
//
//	go run ./hack/bundle [-image NAME] [-frr-image NAME] [-bundle-image NAME]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/seed-551707bd/metallb-operator/config/olm"
)

func main() {
	var images olm.Images
	flag.StringVar(&images.Programs, "image", "", "image of the programs, whose digest its registry is asked for if it has none; empty for that of config/default")
	flag.StringVar(&images.FRR, "frr-image", "", "image of FRR, in the same way; empty for that of config/default")
	bundleImage := flag.String("bundle-image", "", "where the images of the bundles are, without a tag; empty for that of config/olm/package.yaml")
	root := flag.String("root", ".", "the checkout")
	flag.Parse()
	if err := run(context.Background(), *root, images, *bundleImage); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, images olm.Images, bundleImage string) error {
	p, err := olm.LoadPackage(root)
	if err != nil {
		return err
	}
	if bundleImage != "" {
		p.BundleImage = bundleImage
	}
	if images, err = images.Resolve(ctx, root); err != nil {
		return err
	}
	source, err := olm.Load(ctx, root)
	if err != nil {
		return err
	}
	return p.WriteAll(root, source, images)
}

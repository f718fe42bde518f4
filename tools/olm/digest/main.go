// The command digest prints references of images with the digests that they have in their registries now: NAME:TAG becomes NAME@sha256:…. It uses the
// credentials of "docker login". Of an image for several architectures it is the digest of the list of them.
package main

import (
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
)

func main() {
	for _, reference := range os.Args[1:] {
		resolved, err := resolve(reference)
		if err != nil {
			fmt.Fprintf(os.Stderr, "digest: %s: %v\n", reference, err)
			os.Exit(1)
		}
		fmt.Println(resolved)
	}
}

func resolve(reference string) (string, error) {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return "", fmt.Errorf("read the reference: %w", err)
	}
	digest, err := crane.Digest(reference)
	if err != nil {
		return "", fmt.Errorf("ask the registry: %w", err)
	}
	return parsed.Context().Digest(digest).Name(), nil
}

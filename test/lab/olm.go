package lab

import (
	"context"
	"path/filepath"
)

// OLM is what there is of the Operator Lifecycle Manager for a lab with Options.OLM.
type OLM struct {
	// Image is the reference of the image that every node has: OLM's programs, opm and cp.
	Image string
	// Definitions is the folder of OLM's CustomResourceDefinitions.
	Definitions string
}

// OLM names the image and the definitions of the Operator Lifecycle Manager. Nothing of it runs before somebody applies it.
func (l *Lab) OLM(ctx context.Context) (OLM, error) {
	w, err := l.workshop()
	if err != nil {
		return OLM{}, err
	}
	image, err := w.LifecycleImage(ctx)
	if err != nil {
		return OLM{}, err
	}
	dir, err := w.LifecycleManager(ctx)
	return OLM{Image: image.Reference, Definitions: filepath.Join(dir, "crds")}, err
}

package olm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Images are where the programs and FRR are. An empty one stays as config/default has it.
type Images struct {
	// Programs holds operator, controller, speaker and reloader.
	Programs string
	// FRR is the image of the routing daemons.
	FRR string
}

// digest ends a reference that always means the same image.
var digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// local begins references that no cluster but the one on this machine can pull; they name what was just built.
const local = "localhost/"

// check says which references would mean another image tomorrow.
func (i Images) check() error {
	var errs []error
	for _, image := range []struct{ name, reference string }{{"of the programs", i.Programs}, {"of FRR", i.FRR}} {
		errs = append(errs, checkReference(image.name, image.reference))
	}
	return errors.Join(errs...)
}

func checkReference(name, reference string) error {
	if reference == "" || strings.HasPrefix(reference, local) || digest.MatchString(reference) {
		return nil
	}
	return fmt.Errorf("image %s is %q: wanted a reference with a digest, NAME@sha256:…, as a tag may mean another image tomorrow", name, reference)
}

// Resolve replaces tags by the digests that they stand for now, as the registries say. What has a digest, or is of this machine, stays.
func (i Images) Resolve(ctx context.Context, root string) (Images, error) {
	for _, reference := range []*string{&i.Programs, &i.FRR} {
		if checkReference("", *reference) == nil {
			continue
		}
		cmd := exec.CommandContext(ctx, "go", "run", "-tags", "containers_image_openpgp", "./digest", *reference)
		cmd.Dir = filepath.Join(root, "tools", "olm")
		var words bytes.Buffer
		cmd.Stderr = &words
		out, err := cmd.Output()
		if err != nil {
			return Images{}, fmt.Errorf("find the digest of image %s: %w: %s", *reference, err, words.String())
		}
		*reference = strings.TrimSpace(string(out))
	}
	return i, nil
}

// related is one of the images that a bundle needs.
type related struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// environmentImage ends the names of the environment variables that tell the operator the images of what it installs.
const environmentImage = "_IMAGE"

// setImages puts the images into the operator's Deployment, in its containers and in the variables that name what it installs, and returns all
// that then stand there, each once.
func (i Images) set(deployment *unstructured.Unstructured) ([]related, error) {
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil, fmt.Errorf("containers of the operator: %w", err)
	}
	programs, frr, err := present(containers)
	if err != nil {
		return nil, err
	}
	wanted := map[string]string{}
	if i.Programs != "" {
		wanted[programs] = i.Programs
	}
	if i.FRR != "" {
		wanted[frr] = i.FRR
	}
	var all []related
	use := func(at map[string]any, key, name string) {
		if image, ok := wanted[at[key].(string)]; ok {
			at[key] = image
		}
		image := at[key].(string)
		if !slices.ContainsFunc(all, func(r related) bool { return r.Image == image }) {
			all = append(all, related{Name: name, Image: image})
		}
	}
	for _, c := range containers {
		container := c.(map[string]any)
		use(container, "image", deployment.GetLabels()["app.kubernetes.io/name"])
		for _, variable := range variables(container) {
			use(variable, "value", strings.ToLower(strings.TrimSuffix(variable["name"].(string), environmentImage)))
		}
	}
	return all, unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers")
}

// variables returns the environment variables of a container that name images.
func variables(container map[string]any) []map[string]any {
	var found []map[string]any
	env, _ := container["env"].([]any)
	for _, e := range env {
		variable := e.(map[string]any)
		if _, ok := variable["value"].(string); ok && strings.HasSuffix(variable["name"].(string), environmentImage) {
			found = append(found, variable)
		}
	}
	return found
}

// present returns the images of programs and FRR as config/default has them.
func present(containers []any) (programs, frr string, err error) {
	for _, c := range containers {
		container := c.(map[string]any)
		for _, variable := range variables(container) {
			switch variable["name"] {
			case "CONTROLLER_IMAGE":
				programs = variable["value"].(string)
			case "FRR_IMAGE":
				frr = variable["value"].(string)
			}
		}
	}
	if programs == "" || frr == "" {
		return "", "", errors.New("config/manager: found no CONTROLLER_IMAGE and FRR_IMAGE among the operator's environment variables")
	}
	return programs, frr, nil
}

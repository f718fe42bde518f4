package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/config/olm"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/images"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// PreviousImage is the name under which the previous version has the programs.
const PreviousImage = "localhost/metallb-operator:previous"

// laterField is a field of the MetalLB object that the previous version's definition does not have yet.
const laterField = "bgpDrain"

// Previous and Current are the last two versions of the package.
func (m *Manager) Previous() string { return m.pkg.Versions[len(m.pkg.Versions)-2].Version }

// Current is the newest version of the package.
func (m *Manager) Current() string { return m.pkg.Versions[len(m.pkg.Versions)-1].Version }

// Offer has the catalog offer the previous version and those before it, or with current all. It returns when OLM has seen it. There has been no release, so the versions before the
// current one are made of the same sources: with the programs under another name, and a definition that lacks a field.
func (m *Manager) Offer(ctx context.Context, current bool) error {
	if err := m.TagImage(ctx, assets.ProgramsImage, PreviousImage); err != nil {
		return err
	}
	offered := *m.pkg
	offered.Versions = nil
	var bundles []olm.Bundle
	for i, v := range m.pkg.Versions {
		last := i == len(m.pkg.Versions)-1
		if last && !current {
			break
		}
		b, err := m.bundle(v, !last)
		if err != nil {
			return err
		}
		if v.BundleImage, err = m.pack(ctx, b); err != nil {
			return err
		}
		offered.Versions, bundles = append(offered.Versions, v), append(bundles, b)
	}
	catalog, err := offered.Catalog(bundles, olm.ByImage)
	if err != nil {
		return err
	}
	return m.serve(ctx, string(catalog))
}

// bundle makes the bundle of a version.
func (m *Manager) bundle(v olm.Version, older bool) (olm.Bundle, error) {
	if !older {
		return m.source.Bundle(m.pkg, v, olm.Images{})
	}
	b, err := m.source.Bundle(m.pkg, v, olm.Images{Programs: PreviousImage})
	if err != nil {
		return olm.Bundle{}, err
	}
	const file = "manifests/metallb.io_metallbs.yaml"
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(b.Files[file], &definition.Object); err != nil {
		return olm.Bundle{}, fmt.Errorf("read %s: %w", file, err)
	}
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	if err != nil {
		return olm.Bundle{}, fmt.Errorf("read %s: %w", file, err)
	}
	path := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", laterField}
	if _, ok, err := unstructured.NestedMap(versions[0].(map[string]any), path...); err != nil || !ok {
		return olm.Bundle{}, fmt.Errorf("%s has no spec.%s to leave out (%w)", file, laterField, err)
	}
	unstructured.RemoveNestedField(versions[0].(map[string]any), path...)
	if err := unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"); err != nil {
		return olm.Bundle{}, fmt.Errorf("change %s: %w", file, err)
	}
	b.Files[file], err = yaml.Marshal(definition.Object)
	return b, err
}

// pack makes the image of a bundle, as its Dockerfile says, gives it to all nodes and returns its reference with the digest.
func (m *Manager) pack(ctx context.Context, b olm.Bundle) (string, error) {
	reference := m.pkg.BundleImage + ":v" + b.Version
	dir := m.scratch(b.Version)
	if err := b.Write(dir); err != nil {
		return "", err
	}
	if err := os.Remove(filepath.Join(dir, "Dockerfile")); err != nil {
		return "", fmt.Errorf("leave the Dockerfile out of the image of bundle %s: %w", b.Version, err)
	}
	archive := dir + ".tar"
	if err := images.WriteArchive(archive, reference, dir, images.Settings{}); err != nil {
		return "", err
	}
	if err := m.LoadImage(ctx, archive); err != nil {
		return "", err
	}
	return m.PinImage(ctx, reference)
}

// serve has opm serve a catalog in the cluster, and waits until OLM has connected to it.
func (m *Manager) serve(ctx context.Context, catalog string) error {
	m.offers++
	content, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": m.catalogMap(), "namespace": CatalogNamespace},
		"data": map[string]any{"catalog.yaml": catalog}})
	if err != nil {
		return fmt.Errorf("write the catalog: %w", err)
	}
	objects := strings.NewReplacer("IMAGE", m.image, "CATALOG", m.catalogMap(), "ADDRESS", catalogAddress).Replace(catalogObjects)
	if err := m.Apply(ctx, string(content)+"\n---\n"+objects); err != nil {
		return err
	}
	if _, err := m.Kubectl(ctx, "rollout", "status", "--namespace", CatalogNamespace, "--timeout=120s", "deployment/catalog"); err != nil {
		return err
	}
	return product.Eventually(ctx, patience, func(ctx context.Context) error {
		source, err := m.get(ctx, catalogKind, CatalogNamespace, CatalogName)
		if err != nil {
			return err
		}
		state, _, _ := unstructured.NestedString(source.Object, "status", "connectionState", "lastObservedState")
		if state != "READY" {
			return fmt.Errorf("CatalogSource %s/%s: the connection is %q: wanted READY", CatalogNamespace, CatalogName, state)
		}
		return nil
	})
}

func (m *Manager) catalogMap() string { return fmt.Sprintf("catalog-%d", m.offers) }

// catalogObjects are opm with a catalog, and the CatalogSource that leads OLM to it. A ConfigMap that is mounted as a folder would be read twice: it has a link beside
// the file.
const catalogObjects = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: catalog, namespace: openshift-marketplace}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: catalog}}
  template:
    metadata: {labels: {app: catalog}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: opm
        image: IMAGE
        command: [/bin/opm, serve, /catalog, --cache-dir=/cache/opm, --cache-enforce-integrity=false, "--pprof-addr=127.0.0.1:0"]
        readinessProbe: {tcpSocket: {port: 50051}, periodSeconds: 1}
        volumeMounts:
        - {name: catalog, mountPath: /catalog/catalog.yaml, subPath: catalog.yaml}
        - {name: cache, mountPath: /cache}
      volumes:
      - {name: catalog, configMap: {name: CATALOG}}
      - {name: cache, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata: {name: catalog, namespace: openshift-marketplace}
spec: {clusterIP: ADDRESS, selector: {app: catalog}, ports: [{port: 50051}]}
---
apiVersion: operators.coreos.com/v1alpha1
kind: CatalogSource
metadata: {name: redhat-operators, namespace: openshift-marketplace}
spec: {sourceType: grpc, address: "ADDRESS:50051", displayName: A catalog of the lab}
`

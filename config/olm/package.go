package olm

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
)

// Package is package.yaml: a name that Subscriptions use, and its versions.
type Package struct {
	Name    string `json:"package"`
	Channel string `json:"channel"`
	// BundleImage is where the images of bundles are, without a tag.
	BundleImage string `json:"bundleImage"`
	// Versions are in the order of upgrades.
	Versions []Version `json:"versions"`
}

// semver is a version as OLM orders them (https://semver.org), without build metadata.
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// LoadPackage reads package.yaml of the checkout at root. Its error names everything that is wrong.
func LoadPackage(root string) (*Package, error) {
	p := &Package{}
	if err := readYAML(filepath.Join(root, sourceFolder, "package.yaml"), p); err != nil {
		return nil, err
	}
	return p, p.check()
}

// check says what OLM or its catalogs would refuse: each version but the first replaces the one before.
func (p *Package) check() error {
	var errs []error
	if p.Name == "" || p.Channel == "" || p.BundleImage == "" || len(p.Versions) == 0 {
		errs = append(errs, errors.New("package.yaml: wanted package, channel, bundleImage and at least one version"))
	}
	before := ""
	for i, v := range p.Versions {
		if !semver.MatchString(v.Version) {
			errs = append(errs, fmt.Errorf("package.yaml: versions[%d].version is %q: wanted MAJOR.MINOR.PATCH", i, v.Version))
		}
		if slices.ContainsFunc(p.Versions[:i], func(other Version) bool { return other.Version == v.Version }) {
			errs = append(errs, fmt.Errorf("package.yaml: versions[%d].version is %q a second time", i, v.Version))
		}
		if v.Replaces != before {
			errs = append(errs, fmt.Errorf("package.yaml: versions[%d].replaces is %q: wanted the version before, %q", i, v.Replaces, before))
		}
		if v.Released && !digest.MatchString(v.BundleImage) {
			errs = append(errs, fmt.Errorf("package.yaml: versions[%d].bundleImage is %q: wanted one with a digest, as the version is released", i, v.BundleImage))
		}
		before = v.Version
	}
	return errors.Join(errs...)
}

// bundleImage is where the bundle of a version is.
func (p *Package) bundleImage(v Version) string {
	if v.BundleImage != "" {
		return v.BundleImage
	}
	return p.BundleImage + ":v" + v.Version
}

// WriteAll writes the bundles of the versions that are not released, and the catalog of all, into the checkout at root.
func (p *Package) WriteAll(root string, s *Source, images Images) error {
	var bundles []Bundle
	for _, v := range p.Versions {
		dir := filepath.Join(root, BundleFolder, v.Version)
		if v.Released {
			b, err := ReadBundle(dir)
			if err != nil {
				return err
			}
			bundles = append(bundles, b)
			continue
		}
		b, err := s.Bundle(p, v, images)
		if err != nil {
			return err
		}
		if err := b.Write(dir); err != nil {
			return err
		}
		bundles = append(bundles, b)
	}
	text, err := p.Catalog(bundles, ByImage)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(root, CatalogFolder, p.Name, "catalog.yaml"), text)
}

// Package helm tests the Helm chart with Helm itself, as tools/helm pins it: what it renders, and what a real API server makes of an installation with it.
package helm

// Package templates holds the templates of frr.conf. It has no logic: package frrconf fills them.
package templates

import "embed"

// Files are the templates, one per section of the file.
//
//go:embed *.tmpl
var Files embed.FS

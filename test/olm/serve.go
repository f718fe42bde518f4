// Package olm has the package for OLM judged and served by OLM's own programs.
package olm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Catalog is a catalog that opm serves over gRPC, as a CatalogSource with "address" asks it.
type Catalog struct {
	cmd   *exec.Cmd
	words bytes.Buffer
}

// Serve has the program opm serve the catalog in the folder catalog on port, of every address of this machine or network namespace; scratch is a folder for
// its own files. It returns at once: a client that waits for the connection waits for opm. Stop ends it; ctx does, too.
func Serve(ctx context.Context, opm, catalog, scratch string, port int) (*Catalog, error) {
	c := &Catalog{cmd: exec.CommandContext(ctx, opm, "serve", catalog, "--port", strconv.Itoa(port), "--cache-dir", filepath.Join(scratch, "cache"),
		"--cache-enforce-integrity=false", "--termination-log", filepath.Join(scratch, "termination"), "--pprof-addr", "127.0.0.1:0")}
	c.cmd.Dir = scratch
	c.cmd.Stdout, c.cmd.Stderr = &c.words, &c.words
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for opm: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("serve the catalog: %w", err)
	}
	return c, nil
}

// Stop ends opm and returns what it said.
func (c *Catalog) Stop() string {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	_ = c.cmd.Wait()         // of being killed
	return c.words.String()
}

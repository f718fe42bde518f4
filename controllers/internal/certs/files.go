package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Files gives the certificate tls.crt with the key tls.key of a folder, as OLM and cert-manager mount them, and follows their changes.
type Files struct {
	dir string
	log logr.Logger
	// watcher is nil before there was something to read.
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

// NewFiles returns the Files of dir, which need not be there yet. It does nothing before it is started.
func NewFiles(dir string, log logr.Logger) *Files { return &Files{dir: dir, log: log} }

// GetCertificate is for tls.Config.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	w := f.watcher.Load()
	if w == nil {
		return nil, errNone
	}
	return w.GetCertificate(hello)
}

// NeedLeaderElection tells the manager that every replica needs its Files.
func (*Files) NeedLeaderElection() bool { return false }

// Start waits for the files, then follows them until ctx ends.
func (f *Files) Start(ctx context.Context) error {
	for waiting := false; ; waiting = true {
		w, err := certwatcher.New(filepath.Join(f.dir, corev1.TLSCertKey), filepath.Join(f.dir, corev1.TLSPrivateKeyKey))
		if err == nil {
			f.watcher.Store(w)
			if err := w.Start(ctx); err != nil {
				return fmt.Errorf("watch the certificate in %s: %w", f.dir, err)
			}
			return nil
		}
		if !waiting {
			f.log.Error(err, "the webhooks have no certificate; waiting for one", "event", "certificateFailed", "folder", f.dir)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

var (
	_ manager.Runnable               = (*Files)(nil)
	_ manager.LeaderElectionRunnable = (*Files)(nil)
)

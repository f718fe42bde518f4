package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab"
)

// ReloaderLog reads what the reloader on the node says about each configuration that it brought into FRR.
type ReloaderLog struct {
	path   string
	offset int64
}

// OpenReloaderLog finds the log where the node's kubelet keeps it, and skips what is in it.
func OpenReloaderLog(l *lab.Lab, namespace string) (*ReloaderLog, error) {
	pattern := filepath.Join(l.Dir(), "disk", lab.NodeName(1), "pods", namespace+"_speaker-*", "reloader", "*.log")
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("find the reloader's log: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no log of the reloader matches %s", pattern)
	}
	log := &ReloaderLog{path: found[len(found)-1]}
	return log, log.Skip()
}

// Applied is one configuration that came to run.
type Applied struct {
	// Begun is when the reloader took it up, Done when it had been read back and found to run.
	Begun, Done time.Time
	// How and Reason are the reloader's: "delta", or "full" and why.
	How, Reason string
	Commands    int
}

// Skip goes to the end of the log.
func (r *ReloaderLog) Skip() error {
	info, err := os.Stat(r.path)
	if err != nil {
		return fmt.Errorf("look at the reloader's log: %w", err)
	}
	r.offset = info.Size()
	return nil
}

// Next returns what was applied since the last Next or Skip, and waits for the first.
func (r *ReloaderLog) Next(ctx context.Context) ([]Applied, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		applied, err := r.read()
		if err != nil || len(applied) > 0 {
			return applied, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the reloader's log: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (r *ReloaderLog) read() ([]Applied, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return nil, fmt.Errorf("open the reloader's log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at the reloader's log: %w", err)
	}
	text := make([]byte, max(0, info.Size()-r.offset))
	if _, err := f.ReadAt(text, r.offset); err != nil {
		return nil, fmt.Errorf("read the reloader's log: %w", err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	r.offset += int64(len(text))
	return parseApplied(text)
}

// parseApplied reads lines as container runtimes write them: time, stream, tag, and what the program wrote.
func parseApplied(text []byte) ([]Applied, error) {
	var all []Applied
	for line := range bytes.Lines(text) {
		parts := bytes.SplitN(line, []byte(" "), 4)
		if len(parts) < 4 || !bytes.Contains(parts[3], []byte(`"event":"applied"`)) {
			continue
		}
		var said struct {
			Time        time.Time `json:"ts"`
			How, Reason string
			Commands    int
			Micros      int64
		}
		if err := json.Unmarshal(parts[3], &said); err != nil {
			return nil, fmt.Errorf("read the reloader's log: %w: %s", err, parts[3])
		}
		all = append(all, Applied{Begun: said.Time.Add(-time.Duration(said.Micros) * time.Microsecond), Done: said.Time,
			How: said.How, Reason: said.Reason, Commands: said.Commands})
	}
	return all, nil
}

package members

import (
	"context"
	"log"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"
)

// newLogger returns a logger for memberlist.
func newLogger(to *slog.Logger) *log.Logger {
	return log.New(&logWriter{log: to, last: map[string]time.Time{}}, "", 0)
}

// logWriter takes memberlist's lines, which begin with a level in brackets. While a peer is away, it says the same about every packet: of each
// kind of trouble one line in a minute is enough.
type logWriter struct {
	log *slog.Logger
	mu  sync.Mutex
	// last is when each kind of trouble was last told.
	last map[string]time.Time
}

const tellAgain = time.Minute

// Write implements io.Writer.
func (w *logWriter) Write(p []byte) (int, error) {
	level, text, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(p)), "["), "] ")
	text = strings.TrimPrefix(text, "memberlist: ")
	is := slog.LevelDebug
	switch level {
	case "ERR", "WARN":
		// What memberlist calls an error is what it expects of a network.
		is = slog.LevelWarn
	case "INFO":
		is = slog.LevelInfo
	}
	if strings.HasSuffix(text, net.ErrClosed.Error()) {
		is = slog.LevelDebug // memberlist closes its sockets before it stops to use them
	}
	if is < slog.LevelWarn || w.due(kind(text), time.Now()) {
		w.log.Log(context.Background(), is, text, "component", "Memberlist")
	}
	return len(p), nil
}

func (w *logWriter) due(kind string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, told := w.last[kind]; told && now.Sub(last) < tellAgain {
		return false
	}
	w.last[kind] = now
	return true
}

// kind is the text up to what differs: names and numbers come after three words at the earliest.
func kind(text string) string {
	words := strings.FieldsFunc(text, unicode.IsSpace)
	return strings.Join(words[:min(3, len(words))], " ")
}

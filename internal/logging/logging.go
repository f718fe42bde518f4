// Package logging gives every program the log format that MetalLB's users parse: one JSON object per line with the keys ts, caller, level
// and msg, then the context of the line ("event" or "op" first among it).
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
)

// levels are the values of the --log-level flag, as MetalLB spells them.
var levels = map[string]slog.Level{
	"all":   slog.LevelDebug - 4,
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
	"none":  slog.LevelError + 100,
}

// New returns a logger that writes lines of the given level and above to w. The level is one of all, debug, info, warn, error, none.
func New(w io.Writer, level string) (*slog.Logger, error) {
	threshold, ok := levels[level]
	if !ok {
		return nil, fmt.Errorf("log level is %q: wanted one of all, debug, info, warn, error, none", level)
	}
	return slog.New(handler{slog.NewJSONHandler(w, &slog.HandlerOptions{
		AddSource:   true,
		Level:       threshold,
		ReplaceAttr: replace,
	})}), nil
}

// Logr wraps a logger for libraries that log through logr, such as controller-runtime. Their lines of verbosity 1 and above become debug
// lines.
func Logr(l *slog.Logger) logr.Logger {
	return logr.FromSlogHandler(l.Handler())
}

// handler maps logr's verbosity levels (negative numbers in slog's terms, -1 for V(1)) to debug, where slog would otherwise name them
// "INFO-1" and let them through at level info.
type handler struct{ slog.Handler }

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, normal(level))
}

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	record.Level = normal(record.Level)
	return h.Handler.Handle(ctx, record)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name)}
}

func normal(level slog.Level) slog.Level {
	if level < slog.LevelInfo {
		return min(level, slog.LevelDebug)
	}
	return level
}

// replace renames slog's built-in keys at the top level and gives their values MetalLB's form.
func replace(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey:
		if t := attr.Value; t.Kind() == slog.KindTime {
			return slog.String("ts", t.Time().UTC().Format(time.RFC3339Nano))
		}
	case slog.LevelKey:
		if level, ok := attr.Value.Any().(slog.Level); ok {
			return slog.String("level", levelName(level))
		}
	case slog.SourceKey:
		if source, ok := attr.Value.Any().(*slog.Source); ok && source != nil {
			return slog.String("caller", filepath.Base(source.File)+":"+strconv.Itoa(source.Line))
		}
	}
	if err, ok := attr.Value.Any().(error); ok && attr.Value.Kind() == slog.KindAny {
		return slog.String(attr.Key, err.Error())
	}
	return attr
}

func levelName(level slog.Level) string {
	if level < slog.LevelInfo {
		return "debug"
	}
	return strings.ToLower(level.String())
}

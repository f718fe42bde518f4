package publish

import (
	"context"
	"log/slog"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// logProblems logs the problems that were not there before, and those that are solved. It returns what is there now.
func (p *Publisher) logProblems(ctx context.Context, before []string, now []intent.Problem) []string {
	var lines []string
	for _, problem := range now {
		line := problem.Error()
		lines = append(lines, line)
		if _, known := slices.BinarySearch(before, line); known {
			continue
		}
		level := slog.LevelError
		if problem.Kind == intent.Warning {
			level = slog.LevelWarn
		}
		p.Log.Log(ctx, level, "configuration problem", "op", "setConfig", "object", problem.Object.String(), "error", problem.Detail())
	}
	slices.Sort(lines)
	for _, line := range before {
		if _, still := slices.BinarySearch(lines, line); !still {
			p.Log.InfoContext(ctx, "configuration problem solved", "op", "setConfig", "problem", line)
		}
	}
	return lines
}

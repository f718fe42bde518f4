package assets

import (
	"context"
	"os"
	"path/filepath"

	"github.com/seed-551707bd/metallb-operator/test/lab/images"
)

func imageSettings() images.Settings { return images.Settings{Entrypoint: []string{"/program"}} }

// writeProgram stands for a build whose result holds the text.
func writeProgram(text string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "program"), []byte(text), 0o755)
	}
}

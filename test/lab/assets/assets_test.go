package assets

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

func workshop(t *testing.T) *Workshop {
	t.Helper()
	root, err := source.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return NewWorkshop(c, root, t.Logf)
}

func TestGivenThePinnedModuleWhenAskedForTheVersionThenItIsARelease(t *testing.T) {
	version, err := workshop(t).KubernetesVersion()
	if err != nil || !strings.HasPrefix(version, "v1.") || strings.Count(version, ".") != 2 {
		t.Errorf("version %q, error %v; want a release such as v1.36.3", version, err)
	}
}

func TestGivenAVersionWhenStampedThenMajorAndMinorAreItsParts(t *testing.T) {
	flags := kubernetesLinkFlags("v1.36.3")
	for _, want := range []string{"-X k8s.io/component-base/version.gitVersion=v1.36.3", "-X k8s.io/client-go/pkg/version.gitMajor=1",
		"-X k8s.io/component-base/version.gitMinor=36"} {
		if !strings.Contains(flags, want) {
			t.Errorf("flags %q, want %q among them", flags, want)
		}
	}
}

func TestGivenAStoreWhenLinkedThenFilesAreSharedAndDatabasesAreNot(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	const blob, database, ofImage = "content/blob", "meta/metadata.db", "snapshots/1/fs/app.db"
	for _, name := range []string{blob, database, ofImage} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := LinkStore(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	for name, shared := range map[string]bool{blob: true, database: false, ofImage: true} {
		text, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || string(text) != name {
			t.Errorf("%s holds %q, error %v", name, text, err)
		}
		if got := inodeOf(t, filepath.Join(from, name)) == inodeOf(t, filepath.Join(to, name)); got != shared {
			t.Errorf("%s is shared: %v, want %v", name, got, shared)
		}
	}
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestGivenAProgramWhenItsImageIsMadeTwiceThenTheSecondIsTheFirst(t *testing.T) {
	w := workshop(t)
	build := func(text string) Image {
		image, err := w.programImage(t.Context(), "localhost/thing:1", imageSettings(), writeProgram(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(image.Archive); err != nil {
			t.Fatal(err)
		}
		return image
	}
	first, again, changed := build("one"), build("one"), build("two")
	if first != again {
		t.Errorf("images of equal programs are %+v and %+v", first, again)
	}
	if first.Digest == changed.Digest {
		t.Errorf("images of different programs are both %s", first.Digest)
	}
}

func TestGivenAFolderOfInputsWhenOneChangesThenItsTextDoes(t *testing.T) {
	dir := t.TempDir()
	text := func(content string) string {
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := folderText(dir)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if a, b := text("a"), text("b"); a == b {
		t.Errorf("both contents read as %q", a)
	}
}

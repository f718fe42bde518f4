package images_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/images"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

func dockerfile(t *testing.T, name string) []images.Stage {
	t.Helper()
	root, err := source.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	stages, err := images.ParseDockerfile(string(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return stages
}

func TestGivenTheDockerfilesWhenReadThenTheySayWhatTheLabDoes(t *testing.T) {
	frr := dockerfile(t, "Dockerfile.frr")
	want := []images.Stage{{
		From: "debian:" + assets.Release + "-slim",
		Copy: []images.Copy{{From: assets.FRRInputs + "/", To: assets.FRRInstallDir + "/"}},
		Run:  []string{assets.FRRInstallDir + "/install"},
		Image: images.Settings{
			Entrypoint: []string{"/sbin/tini", "--"}, Cmd: []string{"/usr/lib/frr/docker-start"}},
	}}
	if diff := cmp.Diff(want, frr); diff != "" {
		t.Errorf("Dockerfile.frr (-want +got):\n%s", diff)
	}
	programs := dockerfile(t, "Dockerfile")
	if len(programs) != 2 || !slices.Equal(programs[0].Run, []string{assets.ProgramsScript + " /out"}) {
		t.Errorf("Dockerfile: first of %d stages runs %q, want two stages and %s /out", len(programs), programs[0].Run, assets.ProgramsScript)
	}
	last := programs[len(programs)-1]
	if diff := cmp.Diff(images.Stage{From: "scratch", Copy: []images.Copy{{Stage: "build", From: "/out/", To: "/"}},
		Image: images.Settings{User: "65532:65532"}}, last); diff != "" {
		t.Errorf("Dockerfile, last stage (-want +got):\n%s", diff)
	}
}

func TestGivenAnInstructionTheLabCannotFollowWhenParsedThenItIsAnError(t *testing.T) {
	for _, text := range []string{"", "RUN x", "FROM a\nVOLUME /x", "FROM a\nCMD run me", "FROM a\nRUN x && \\\n y", "FROM a\nCOPY a b c"} {
		if stages, err := images.ParseDockerfile(text); err == nil {
			t.Errorf("%q was read as %+v, want an error", text, stages)
		}
	}
}

// tree makes a folder with one of everything an image needs.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.WriteFile(filepath.Join(dir, "bin", "program"), []byte("text"), 0o755),
		os.Link(filepath.Join(dir, "bin", "program"), filepath.Join(dir, "bin", "second")),
		os.Symlink("bin/program", filepath.Join(dir, "link")))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGivenATreeWhenArchivedThenTheLayerHoldsItAndTheArchiveIsReproducible(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")
	for _, out := range []string{first, second} {
		if err := images.WriteArchive(out, "localhost/x:1", tree(t), images.Settings{User: "1:1", Cmd: []string{"/bin/program"}}); err != nil {
			t.Fatal(err)
		}
	}
	a, errA := os.ReadFile(first)
	b, errB := os.ReadFile(second)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two archives of equal trees differ (errors %v, %v)", errA, errB)
	}
	files := untar(t, a)
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest[0].RepoTags[0] != "localhost/x:1" || !strings.Contains(string(files[manifest[0].Config]), `"User":"1:1"`) {
		t.Errorf("manifest %+v, settings %s", manifest, files[manifest[0].Config])
	}
	layer := untar(t, files[manifest[0].Layers[0]])
	if string(layer["bin/program"]) != "text" || string(layer["bin/second"]) != "-> bin/program" || string(layer["link"]) != "-> bin/program" {
		t.Errorf("layer holds %q", layer)
	}
}

// untar maps names to contents; links are "-> target".
func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if h.Linkname != "" {
			files[h.Name] = []byte("-> " + h.Linkname)
		}
	}
}

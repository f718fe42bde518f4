package lab

import "testing"

// Given what ctr lists, when an image is to be pinned, then its name with the digest comes out, whatever the form of its reference; an image that is not there is an error.
func TestPinnedName(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	list := "REF TYPE DIGEST SIZE PLATFORMS LABELS\n" +
		"localhost/a:v1.0.0 application/vnd.docker.distribution.manifest.v2+json " + digest + " 12.3 KiB linux/amd64 io.cri-containerd.image=managed\n" +
		"localhost:5000/b application/vnd.docker.distribution.manifest.v2+json " + digest + " 12.3 KiB linux/amd64 -\n"
	for reference, want := range map[string]string{"localhost/a:v1.0.0": "localhost/a@" + digest, "localhost:5000/b": "localhost:5000/b@" + digest} {
		if got, err := pinnedName(reference, list); err != nil || got != want {
			t.Errorf("pinnedName(%q) is %q, error %v: wanted %q", reference, got, err, want)
		}
	}
	if got, err := pinnedName("localhost/c:v1", list); err == nil {
		t.Errorf("pinnedName of an image that is not listed is %q: wanted an error", got)
	}
}

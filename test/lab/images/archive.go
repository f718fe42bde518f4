package images

import (
	"archive/tar"
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// defaultPath is what every image has as PATH where its settings have no Env.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// WriteArchive writes an image archive with the given reference ("localhost/name:tag") whose only layer is the tree at
// root. Equal trees give equal archives: times are left out and names are in order.
func WriteArchive(out, reference, root string, settings Settings) error {
	layer := out + ".layer"
	defer os.Remove(layer)
	digest, err := writeLayer(layer, root)
	if err != nil {
		return fmt.Errorf("write layer of image %s: %w", reference, err)
	}
	if settings.Env == nil {
		settings.Env = []string{defaultPath}
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": settings,
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest}},
		"history": []map[string]string{{"created_by": "test/lab"}},
	})
	if err != nil {
		return fmt.Errorf("encode settings of image %s: %w", reference, err)
	}
	sum := sha256.Sum256(config)
	configName := hex.EncodeToString(sum[:]) + ".json"
	manifest, err := json.Marshal([]map[string]any{{
		"Config": configName, "RepoTags": []string{reference}, "Layers": []string{digest + "/layer.tar"}}})
	if err != nil {
		return fmt.Errorf("encode manifest of image %s: %w", reference, err)
	}
	if err := assemble(out, layer, digest+"/layer.tar", map[string][]byte{"manifest.json": manifest, configName: config}, []string{"manifest.json", configName}); err != nil {
		return fmt.Errorf("write image %s: %w", reference, err)
	}
	return nil
}

// assemble puts the small files, in the given order, and the layer into one archive.
func assemble(out, layer, layerName string, files map[string][]byte, order []string) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	for _, name := range order {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return err
		}
		if _, err := w.Write(files[name]); err != nil {
			return err
		}
	}
	in, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: layerName, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	return w.Close()
}

// writeLayer packs the tree at root and returns the SHA-256 of the uncompressed layer, in hexadecimal.
func writeLayer(out, root string) (digest string, err error) {
	f, err := os.Create(out)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(f, hash), 1<<20)
	p := packer{tar: tar.NewWriter(buffered), root: root, links: map[inode]string{}}
	if err := filepath.WalkDir(root, p.add); err != nil {
		return "", err
	}
	if err := cmp.Or(p.tar.Close(), buffered.Flush()); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

type inode struct{ device, number uint64 }

// packer adds the files of one tree to a tar stream.
type packer struct {
	tar   *tar.Writer
	root  string
	links map[inode]string // first name of files that have several
}

func (p *packer) add(path string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	name, err := filepath.Rel(p.root, path)
	if err != nil {
		return err
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	if info.Mode()&(fs.ModeSocket|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
		return nil // the container runtime makes devices; sockets mean nothing in an image
	}
	header, err := p.header(path, name, info)
	if err != nil {
		return fmt.Errorf("describe %s: %w", name, err)
	}
	if err := p.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	if header.Typeflag != tar.TypeReg || header.Size == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(p.tar, f)
	return err
}

func (p *packer) header(path, name string, info fs.FileInfo) (*tar.Header, error) {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(path); err != nil {
			return nil, err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	h.Name, h.ModTime, h.AccessTime, h.ChangeTime = name, time.Unix(0, 0), time.Time{}, time.Time{}
	h.Uname, h.Gname = "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && st.Nlink > 1 {
		id := inode{uint64(st.Dev), st.Ino}
		if first, seen := p.links[id]; seen {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return h, nil
		}
		p.links[id] = name
	}
	if info.Mode().IsRegular() {
		if capability, ok := fileCapability(path); ok {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capability}
		}
	}
	return h, nil
}

// fileCapability is the file's capability set as the kernel stores it, as ping has one.
func fileCapability(path string) (string, bool) {
	buf := make([]byte, 64)
	n, err := unix.Lgetxattr(path, "security.capability", buf)
	if err != nil || n == 0 {
		return "", false // most files have none, and some file systems have no attributes
	}
	return string(buf[:n]), true
}

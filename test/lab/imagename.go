package lab

import (
	"context"
	"fmt"
	"strings"
)

// TagImage gives an image a further name, on every node that is on.
func (l *Lab) TagImage(ctx context.Context, from, to string) error {
	return l.onNodes(func(node string) error {
		_, err := l.Exec(ctx, node, "ctr", "-n", "k8s.io", "images", "tag", "--force", from, to)
		return err
	})
}

// PinImage gives an image the name that says its content, NAME@sha256:…, on every node that is on, and returns that name. Kubernetes takes it for an image
// that is never to be pulled again, as it does not with a tag everywhere.
func (l *Lab) PinImage(ctx context.Context, reference string) (string, error) {
	s, err := l.state()
	if err != nil {
		return "", err
	}
	pinned := ""
	for i := 1; i <= s.Nodes && pinned == ""; i++ {
		if !s.Machines[NodeName(i)].Process.alive() {
			continue
		}
		list, err := l.Exec(ctx, NodeName(i), "ctr", "-n", "k8s.io", "images", "ls", "name=="+reference)
		if err != nil {
			return "", err
		}
		if pinned, err = pinnedName(reference, list); err != nil {
			return "", err
		}
	}
	if pinned == "" {
		return "", fmt.Errorf("pin image %s: no node is on", reference)
	}
	return pinned, l.TagImage(ctx, reference, pinned)
}

// pinnedName reads the digest of an image out of ctr's list, whose columns are REF, TYPE, DIGEST and more.
func pinnedName(reference, list string) (string, error) {
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == reference && strings.HasPrefix(f[2], "sha256:") {
			name := reference
			if at := strings.LastIndex(name, ":"); at > strings.LastIndex(name, "/") {
				name = name[:at]
			}
			return name + "@" + f[2], nil
		}
	}
	return "", fmt.Errorf("pin image %s: containerd does not list it: %s", reference, strings.TrimSpace(list))
}

package operator

import (
	"encoding/base64"
	"fmt"
	"io"
)

// newMemberlistSecret returns 128 random bytes as text, the form in which MetalLB's users make it by hand.
func newMemberlistSecret(random io.Reader) ([]byte, error) {
	var key [128]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return base64.StdEncoding.AppendEncode(nil, key[:]), nil
}

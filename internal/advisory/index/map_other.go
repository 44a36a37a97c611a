//go:build !unix

package index

import (
	"fmt"
	"os"
)

// mapFile reads the whole file where it cannot be mapped.
func mapFile(path string) ([]byte, func() error, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if len(data) < pageSize {
		return nil, nil, fmt.Errorf("%w: %s has %d bytes", ErrDamaged, path, len(data))
	}
	return data, func() error { return nil }, nil
}

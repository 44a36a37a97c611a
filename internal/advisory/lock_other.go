//go:build !unix

package advisory

import (
	"context"
	"errors"
)

// lock is not to be had on this system: the folder is only read there.
func lock(context.Context, string, func()) (func(), error) {
	return nil, errors.New("importing advisories needs a Unix system")
}

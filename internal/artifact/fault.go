package artifact

import (
	"errors"
	"fmt"
)

// The two faults that decide a verdict. An error that is neither says that
// there is no such artifact, or none that can be read: wrong usage, a form
// that is not supported, a file that is damaged.
var (
	// ErrOutside marks an error whose cause lies outside the artifact (network,
	// credentials, disk): whoever meets it is undecided, never allowed or refused.
	ErrOutside = errors.New("the fault lies outside the artifact")
	// ErrFalse marks an artifact that contradicts itself: bytes that are not
	// those of their digest, a config that names other layers than the
	// manifest. Whoever meets it refuses.
	ErrFalse = errors.New("the artifact contradicts itself")
)

// Outsidef returns an error that wraps ErrOutside without repeating its text.
func Outsidef(format string, args ...any) error {
	return &fault{fmt.Errorf(format, args...), ErrOutside}
}

// Falsef returns an error that wraps ErrFalse without repeating its text.
func Falsef(format string, args ...any) error {
	return &fault{fmt.Errorf(format, args...), ErrFalse}
}

// fault is an error of a kind that its text need not name.
type fault struct {
	error
	kind error
}

func (f *fault) Unwrap() []error { return []error{f.error, f.kind} }

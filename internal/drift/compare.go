package drift

import (
	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// difference reports whether what is there is another file than the manifest
// wants. Neither the times count, nor the mode of a link, which has no meaning.
// unsure says why that cannot be told; then nothing that can be seen differs.
func difference(want, have *manifest.Entry) (differs bool, unsure *touchstone.Gap) {
	if want.Kind != have.Kind || want.UID != have.UID || want.GID != have.GID {
		return true, nil
	}
	if want.Mode != have.Mode && have.Kind != manifest.Symlink {
		return true, nil
	}
	switch have.Kind {
	case manifest.Symlink:
		return string(want.Link) != string(have.Link), nil
	case manifest.Device:
		return false, gap(touchstone.GapUnsupported, "the manifest does not say which device this is")
	case manifest.Regular:
		switch {
		case want.Size != have.Size:
			return true, nil
		case !want.Hashed:
			return false, gap(touchstone.GapUnsupported, "the manifest has no SHA-256 of this file, and its size is equal")
		case !have.Hashed:
			return false, gap(touchstone.GapFailed, "its content was not read, and its size is equal")
		default:
			return want.SHA256 != have.SHA256, nil
		}
	}
	return false, nil
}

// executable reports whether a file that nobody expects counts: one that can be
// executed or loaded by what it holds, or that is marked so and not empty.
func executable(e *manifest.Entry) bool {
	return e.Kind == manifest.Regular && (e.Exec != manifest.ExecNone || e.Mode&0o111 != 0 && e.Size > 0)
}

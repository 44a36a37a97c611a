package manifest

import (
	"iter"

	"touchstone.dev/touchstone"
)

// Change is a difference between two manifests at one path.
type Change struct {
	Path   string
	Before *touchstone.File // nil where the file was added
	After  *touchstone.File // nil where the file was removed
}

// Diff walks two manifests side by side and yields what differs, in order of
// path. It holds two entries at a time, however many there are. Damage in either
// ends the walk with an error.
func Diff(before, after *Reader) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		a, b := before.Start(), after.Start()
		moreA, moreB := a.Next(), b.Next()
		for moreA || moreB {
			var order int
			switch {
			case !moreB:
				order = -1
			case !moreA:
				order = 1
			default:
				order = compareEntries(a.Entry(), b.Entry())
			}
			if c, differs := change(a.Entry(), b.Entry(), order); differs && a.Err() == nil && b.Err() == nil && !yield(c, nil) {
				return
			}
			if order <= 0 {
				moreA = a.Next()
			}
			if order >= 0 {
				moreB = b.Next()
			}
			if a.Err() != nil || b.Err() != nil {
				break
			}
		}
		for _, err := range []error{a.Err(), b.Err()} {
			if err != nil {
				yield(Change{}, err)
				return
			}
		}
	}
}

// change describes the difference between two entries in this order: a is gone
// where it comes first, b is new where it does.
func change(a, b *Entry, order int) (Change, bool) {
	switch {
	case order < 0:
		f := a.File()
		return Change{Path: f.Path, Before: &f}, !a.Kind.Mark()
	case order > 0:
		f := b.File()
		return Change{Path: f.Path, After: &f}, !b.Kind.Mark()
	default:
		if a.same(b) {
			return Change{}, false
		}
		f, g := a.File(), b.File()
		return Change{Path: f.Path, Before: &f, After: &g}, !a.Kind.Mark()
	}
}

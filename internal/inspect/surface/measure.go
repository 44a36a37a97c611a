package surface

import (
	"iter"

	"touchstone.dev/touchstone"
)

// Entry is one entry of the squashed tree.
type Entry struct {
	touchstone.File
	// Facts are those of the regular file, from the layer that it comes from;
	// nil where there are none.
	Facts *Facts
	// Capability is the value of the extended attribute security.capability;
	// nil where there is none.
	Capability []byte
}

// Tree is the root file system after all layers are squashed.
type Tree interface {
	// Entries yields every entry in path order. Measure reads it once and keeps
	// no pointer to an entry.
	Entries() iter.Seq[*Entry]
	// Find returns the entry at exactly this path, without a leading slash and
	// without following links. It is asked a few thousand times.
	Find(path string) (touchstone.File, bool)
}

// Measure returns the surface of a tree that is run as cfg says. Lists are
// sorted and hold at most MaxEntries; a longer one is cut and told as a gap, as
// is what was needed and could not be read. Gaps have Layer -1.
func Measure(tree Tree, cfg touchstone.Configuration) (touchstone.Surface, []touchstone.Gap) {
	return touchstone.Surface{}, nil
}

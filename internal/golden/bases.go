// Package golden keeps the approved bases and tells what an image was built on.
//
// A base is a chain of diff IDs with a name, an owner and an expiry. The bases
// lie in one JSON file that a team can keep beside its rules; adding and
// removing rewrite it as a whole, under a lock, so that two processes never
// lose each other's change. Lineage of an image is the longest chain that its
// layers begin with. Whether a base is good enough to be approved is not
// decided here: the rules do that.
package golden

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/wholefile"
)

// Schema names the format of the file.
const Schema = "touchstone.dev/golden/v1"

// ErrNoSuchBase is returned when a base that is to be removed is not there.
var ErrNoSuchBase = errors.New("no such golden base")

// Bases is the file of approved bases.
type Bases struct{ path string }

// Open names the file; it need not exist yet.
func Open(path string) *Bases { return &Bases{path: path} }

// Path returns the path of the file.
func (b *Bases) Path() string { return b.path }

type document struct {
	Schema string            `json:"schema"`
	Bases  []touchstone.Base `json:"bases"`
}

// List returns the bases in the order in which they were added; none if there is
// no file. A damaged file is an error: nobody's approval is forgotten silently.
func (b *Bases) List() ([]touchstone.Base, error) {
	data, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the golden bases: %w", err)
	}
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("reading the golden bases in %s: %w\nhint: restore the file from version control, or remove it and approve the bases again", b.path, err)
	}
	if doc.Schema != Schema {
		return nil, fmt.Errorf("reading the golden bases in %s: the schema is %q, not %q\nhint: was it written by a newer touchstone?", b.path, doc.Schema, Schema)
	}
	for i := range doc.Bases {
		if err := valid(&doc.Bases[i]); err != nil {
			return nil, fmt.Errorf("reading the golden bases in %s: base %d: %w", b.path, i+1, err)
		}
	}
	return doc.Bases, nil
}

// valid keeps a base without layers out: every image begins with no layers.
func valid(base *touchstone.Base) error {
	if base.Name == "" {
		return errors.New("it has no name")
	}
	if len(base.Chain) == 0 {
		return fmt.Errorf("%s has no layers, and every image would stand on it", base.Name)
	}
	for _, d := range base.Chain {
		if !d.Valid() {
			return fmt.Errorf("%s has the malformed diff ID %q", base.Name, d)
		}
	}
	return nil
}

// Add approves a base. One of the same name and chain is replaced, so that an
// approval can be renewed.
func (b *Bases) Add(base touchstone.Base) error {
	if err := valid(&base); err != nil {
		return err
	}
	return b.change(func(bases []touchstone.Base) ([]touchstone.Base, error) {
		bases = slices.DeleteFunc(bases, func(o touchstone.Base) bool {
			return o.Name == base.Name && slices.Equal(o.Chain, base.Chain)
		})
		return append(bases, base), nil
	})
}

// Remove withdraws the approval of every base with the name or digest.
func (b *Bases) Remove(nameOrDigest string) (removed []touchstone.Base, err error) {
	err = b.change(func(bases []touchstone.Base) ([]touchstone.Base, error) {
		var kept []touchstone.Base
		for _, o := range bases {
			if o.Name == nameOrDigest || string(o.Digest) == nameOrDigest {
				removed = append(removed, o)
			} else {
				kept = append(kept, o)
			}
		}
		if len(removed) == 0 {
			return nil, fmt.Errorf("%w: %s\nhint: touchstone golden list", ErrNoSuchBase, nameOrDigest)
		}
		return kept, nil
	})
	return removed, err
}

// change rewrites the file under a lock of its own, which is never replaced.
func (b *Bases) change(edit func([]touchstone.Base) ([]touchstone.Base, error)) error {
	if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
		return fmt.Errorf("writing the golden bases: %w", err)
	}
	lock, err := os.OpenFile(b.path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("locking the golden bases: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking the golden bases: %w", err)
	}
	bases, err := b.List()
	if err != nil {
		return err
	}
	if bases, err = edit(bases); err != nil {
		return err
	}
	data, err := json.MarshalIndent(document{Schema: Schema, Bases: bases}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the golden bases: %w", err)
	}
	if err := wholefile.Write(b.path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("%w\nhint: is the disk full, or read-only?", err)
	}
	return nil
}

// Trace tells on which of the bases the layers stand: the one with the longest
// chain of diff IDs that they begin with. Of equal chains the approval that
// lasts longest counts.
func Trace(bases []touchstone.Base, layers []touchstone.Layer) touchstone.Lineage {
	l := touchstone.Lineage{Known: true}
	for i := range bases {
		b := &bases[i]
		if !begins(layers, b.Chain) {
			continue
		}
		if l.Base == nil || len(b.Chain) > len(l.Base.Chain) ||
			len(b.Chain) == len(l.Base.Chain) && lasts(b, l.Base) {
			l.Base = b
		}
	}
	if l.Base == nil {
		return l
	}
	l.Layers = len(l.Base.Chain)
	newest := l.Base
	for i := range bases {
		if b := &bases[i]; b.Name == newest.Name && younger(b, newest) && !slices.Equal(b.Chain, l.Base.Chain) {
			newest = b
		}
	}
	if newest != l.Base {
		l.Newer = newest.Name
		if newest.Digest != "" && !strings.Contains(l.Newer, "@") {
			l.Newer += "@" + string(newest.Digest)
		}
	}
	return l
}

func begins(layers []touchstone.Layer, chain []touchstone.Digest) bool {
	if len(chain) == 0 || len(chain) > len(layers) {
		return false
	}
	for i, d := range chain {
		if layers[i].DiffID != d {
			return false
		}
	}
	return true
}

// lasts reports whether a's approval lasts longer than b's.
func lasts(a, b *touchstone.Base) bool {
	switch {
	case b.Expires.IsZero():
		return false
	case a.Expires.IsZero():
		return true
	default:
		return a.Expires.After(b.Expires)
	}
}

// younger reports whether a is a later build than b; where builds do not tell
// their moment, the later approval counts.
func younger(a, b *touchstone.Base) bool {
	if a.Created.IsZero() || b.Created.IsZero() || a.Created.Equal(b.Created) {
		return a.Added.After(b.Added)
	}
	return a.Created.After(b.Created)
}

// Origin says who brought in what lies in the layer.
func Origin(l *touchstone.Lineage, layer int) touchstone.Origin {
	switch {
	case l.Base == nil:
		return touchstone.OriginUnknown
	case layer < l.Layers:
		return touchstone.OriginBase
	default:
		return touchstone.OriginApplication
	}
}

package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/build"
	"touchstone.dev/touchstone/internal/advisory/source"
	"touchstone.dev/touchstone/internal/wholefile"
)

// Schema names the form of state.json.
const Schema = "touchstone.dev/advisories/v1"

// Source is one source of advisories that the folder holds.
type Source struct {
	// Name is what replaces what: "osv/Debian", "kev", "epss", or for sources
	// that are not one ecosystem's whole feed, where they came from.
	Name   string            `json:"name"`
	Kind   source.Kind       `json:"kind"`
	Origin string            `json:"origin"` // the path or URL that it was taken from
	File   string            `json:"file"`   // below sources/
	SHA256 touchstone.Digest `json:"sha256"`
	Size   int64             `json:"size"`
	// Imported is when it was taken; Confirmed when it was last known to be
	// what its publisher has: a fetch, an answer "not modified", the archive's
	// own date, or --as-of.
	Imported  time.Time `json:"imported"`
	Confirmed time.Time `json:"confirmed,omitzero"`
	// Partial is true for a single record, which adds to what is known of its
	// ecosystem and is far from being all of it.
	Partial      bool   `json:"partial,omitempty"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"` // as the server wrote it

	Records   int               `json:"records,omitempty"` // OSV records
	CVEs      int               `json:"cves,omitempty"`    // CVE records
	Rows      int               `json:"rows,omitempty"`    // of CISA's list or EPSS
	Withdrawn int               `json:"withdrawn,omitempty"`
	Ignored   int               `json:"ignored,omitempty"`
	Malformed int               `json:"malformed,omitempty"`
	First     []build.Malformed `json:"firstMalformed,omitempty"`
	// Ecosystems counts the records that concern each ecosystem and release;
	// Alone those that concern one family only.
	Ecosystems map[string]int `json:"ecosystems,omitempty"`
	Alone      map[string]int `json:"alone,omitempty"`
}

// count takes over what reading the source found.
func (s *Source) count(f *build.Found) {
	s.Records, s.CVEs, s.Rows, s.Withdrawn, s.Ignored, s.Malformed, s.First = f.Records, f.CVEs, f.Rows, f.Withdrawn, f.Ignored, f.Malformed, f.First
	s.Ecosystems, s.Alone = f.Ecosystems, f.Alone
	if s.Partial {
		s.Alone = nil
	}
}

// state is state.json.
type state struct {
	Schema string `json:"schema"`
	// Index is the revision that is current; Previous the one before, whose
	// file stays for readers that have just read the older state.
	Index    touchstone.Digest `json:"index,omitempty"`
	Previous touchstone.Digest `json:"previous,omitempty"`
	Built    time.Time         `json:"built,omitzero"`
	Sources  []Source          `json:"sources"`
}

// largestState bounds state.json; with every ecosystem of OSV it has 100 kB.
const largestState = 64 << 20

func (f *Folder) readState() (*state, error) {
	path := filepath.Join(f.dir, "state.json")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{Schema: Schema}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of the advisories: %w", err)
	}
	if info.Size() > largestState {
		return nil, fmt.Errorf("read the state of the advisories: %s is too large to be one", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the state of the advisories: %w", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the state of the advisories: %s: %w\nhint: touchstone db update fetches everything anew once the file is removed", path, err)
	}
	if s.Schema != Schema {
		return nil, fmt.Errorf("read the state of the advisories: %s has schema %q, and this program reads %s", path, s.Schema, Schema)
	}
	for i := range s.Sources {
		if name := s.Sources[i].File; name != filepath.Base(name) || name == "." || name == ".." {
			return nil, fmt.Errorf("read the state of the advisories: %s names a file outside of its folder", path)
		}
	}
	return &s, nil
}

// writeState makes s the state, at once or not at all.
func (f *Folder) writeState(s *state) error {
	s.Schema = Schema
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the state of the advisories: %w", err)
	}
	if err := wholefile.Write(filepath.Join(f.dir, "state.json"), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the state of the advisories: %w", err)
	}
	return nil
}

// syncDir makes renames in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

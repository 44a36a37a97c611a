package storetest

import (
	"path/filepath"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

// Open returns an empty store for a test of another room: a real one, in the
// test's own folder, closed at its end.
func Open(t testing.TB) record.Store { return OpenAt(t, nil) }

// OpenAt is Open with a clock; nil for the real one.
func OpenAt(t testing.TB, now func() time.Time) record.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "record.db"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

package sqlite_test

import (
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/sqlite"
	"touchstone.dev/touchstone/internal/storetest"
)

func TestSuite(t *testing.T) {
	storetest.Run(t, func(t testing.TB, path string, now func() time.Time) storetest.Store {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

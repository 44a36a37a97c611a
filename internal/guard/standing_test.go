package guard

import (
	"sync"
	"sync/atomic"
	"testing"
)

// However many find at a time that a process is to be ended, one tells of it.
func TestEndings(t *testing.T) {
	var e endings
	var told atomic.Int64
	var group sync.WaitGroup
	const processes = 500
	for range 4 {
		group.Go(func() {
			for pid := range processes {
				if e.first(pid, 7) {
					told.Add(1)
				}
			}
		})
	}
	group.Wait()
	if told.Load() != processes {
		t.Errorf("told of %d, want %d", told.Load(), processes)
	}
	if !e.first(1, 8) {
		t.Error("another process of the same number is taken for the one before")
	}
}

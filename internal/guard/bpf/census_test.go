package bpf

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Nobody is given a list whose reading began before they asked, and many share one.
func TestACensusIsNeverOld(t *testing.T) {
	var g census
	var one sync.Mutex
	var begun atomic.Uint32
	read := func() (map[uint32]kernelProcess, error) {

		return map[uint32]kernelProcess{begun.Add(1): {}}, nil
	}
	const askers, times = 16, 200
	var working sync.WaitGroup
	for range askers {
		working.Go(func() {
			for range times {
				before := begun.Load()
				all, err := g.ask(&one, read)
				for at := range all {
					if err != nil || at <= before {
						t.Errorf("asked after %d, and was given %d, %v", before, at, err)
					}
				}
			}
		})
	}
	working.Wait()

	one.Lock() // the first who asks waits for this; the others for the first
	was := begun.Load()
	for range askers {
		working.Go(func() { _, _ = g.ask(&one, read) })
	}
	for waiting := false; !waiting; {
		g.mu.Lock()
		waiting = g.next != nil
		g.mu.Unlock()
	}
	one.Unlock()
	working.Wait()
	if n := begun.Load() - was; n == 0 || n > askers {
		t.Errorf("%d readings for %d who asked", n, askers)
	}
}

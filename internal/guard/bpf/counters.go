package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Counters are exact, whatever became of the events.
type Counters struct {
	Execs      uint64 // programs executed
	Mappings   uint64 // files or memory that became executable
	Unverified uint64 // of both, for whatever reason but Busy
	Killed     uint64
	Held       uint64
	Reported   uint64
	LetRun     uint64 // should have been held, but nobody beat
	Unstopped  uint64 // the signal could not be sent
	Unjudged   uint64 // Busy
	Memory     uint64 // shared mappings of files without a name, as just-in-time compilers make
	// LostVerdicts and LostEvents are events that found no room: those about what
	// was not verified, and the others.
	LostVerdicts, LostEvents uint64
}

// Counters returns what was counted for the subject since it is watched.
func (l *Layer) Counters(subject uint64) (Counters, error) {
	var each []kernelTally
	if err := l.maps[kernelMapTallies].Lookup(subject, &each); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			err = ErrUnwatched
		}
		return Counters{}, fmt.Errorf("reading the counters of subject %d: %w", subject, err)
	}
	var sum kernelTally
	for _, t := range each {
		for i, n := range t.Counts {
			sum.Counts[i] += n
		}
	}
	n := sum.Counts
	return Counters{
		Execs: n[0], Mappings: n[1], Unverified: n[2], Killed: n[3], Held: n[4], Reported: n[5],
		LetRun: n[6], Unstopped: n[7], Unjudged: n[8], Memory: n[9], LostVerdicts: n[10], LostEvents: n[11],
	}, nil
}

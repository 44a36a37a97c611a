package record

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"touchstone.dev/touchstone"
)

// Verification is what verifying a log came to.
type Verification struct {
	Entries     uint64 `json:"entries"`               // that were read
	Bodies      uint64 `json:"bodies"`                // that are there and agree with their digests
	Removed     uint64 `json:"removed"`               // bodies that retention has taken away
	Checkpoints int    `json:"checkpoints,omitempty"` // that agree with the log
	OK          bool   `json:"ok"`
	// Faults lists what is wrong, the first first: changed, missing or reordered
	// entries, and checkpoints that do not agree.
	Faults []string `json:"faults,omitempty"`
}

// Trust is what a log is verified against.
type Trust struct {
	// Checkpoints are signed notes. Without any, entries cut off the end and a log
	// written anew from some entry on are not found.
	Checkpoints []string
	Key         string // the public key that they must be signed with
	// Bodies has every body read and compared with its digest as well, which takes
	// several times as long.
	Bodies bool
}

// Log is what verifying reads of a Store.
type Log interface {
	Entries(ctx context.Context, q EntryQuery) iter.Seq2[Entry, error]
	Blob(ctx context.Context, d touchstone.Digest) ([]byte, error)
}

// Verify reads the whole log and finds every change, gap and reordering, a clock
// that went backwards, an end that was cut off, and bodies that contradict their
// digests. What is wrong with the log is told in the Verification; an error means
// that the log could not be read to its end.
func Verify(ctx context.Context, l Log, t Trust) (Verification, error) {
	v := verifier{log: l, bodies: t.Bodies, promised: map[uint64][]Checkpoint{}}
	for _, signed := range t.Checkpoints {
		c, err := ReadCheckpoint(signed, t.Key)
		if err != nil {
			v.fault("a checkpoint does not count: %v", err)
			continue
		}
		v.promised[c.Size] = append(v.promised[c.Size], c)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for batch := range ahead(ctx, l) {
		for i := range batch {
			if err := v.next(ctx, batch[i].entry, batch[i].err); err != nil {
				return v.Verification, err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return v.Verification, err
	}
	v.end()
	v.OK = len(v.Faults) == 0
	return v.Verification, nil
}

// read is one step of Entries.
type read struct {
	entry Entry
	err   error
}

// ahead reads the log in a goroutine of its own, so that reading and hashing go
// side by side. It ends when the context does.
func ahead(ctx context.Context, l Log) <-chan []read {
	const together = 512
	batches := make(chan []read, 4)
	go func() {
		defer close(batches)
		batch := make([]read, 0, together)
		send := func() bool {
			select {
			case batches <- batch:
				batch = make([]read, 0, together)
				return true
			case <-ctx.Done():
				return false
			}
		}
		for e, err := range l.Entries(ctx, EntryQuery{}) {
			batch = append(batch, read{e, err})
			if len(batch) == together && !send() {
				return
			}
		}
		send()
	}()
	return batches
}

type verifier struct {
	Verification
	log      Log
	bodies   bool
	last     Entry
	promised map[uint64][]Checkpoint
}

func (v *verifier) fault(format string, args ...any) {
	const most = 100
	switch {
	case len(v.Faults) < most:
		v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
	case len(v.Faults) == most:
		v.Faults = append(v.Faults, "and more")
	}
}

// next looks at one entry, or at the error in its place.
func (v *verifier) next(ctx context.Context, e Entry, err error) error {
	switch {
	case errors.Is(err, ErrCorrupt):
		v.fault("%v", err)
		if e.Seq == 0 {
			return nil
		}
		v.last.Seq, v.last.Hash = e.Seq, "" // what follows it is looked at for itself
		v.Entries++
		return nil
	case err != nil:
		return fmt.Errorf("verifying the log after entry %d: %w", v.last.Seq, err)
	}
	v.Entries++
	switch want := v.last.Seq + 1; {
	case e.Seq == want+1:
		v.fault("entry %d is missing", want)
	case e.Seq > want:
		v.fault("entries %d to %d are missing", want, e.Seq-1)
	case e.Seq < want:
		v.fault("entry %d comes after entry %d", e.Seq, v.last.Seq)
	}
	if Sum(&e) != e.Hash {
		v.fault("entry %d was changed: its hash is another", e.Seq)
	}
	if e.Prev != v.last.Hash && (v.last.Hash != "" || v.last.Seq == 0) {
		v.fault("entry %d does not follow entry %d: it names another before it", e.Seq, v.last.Seq)
	}
	if e.Time.Before(v.last.Time) {
		v.fault("entry %d is older than entry %d", e.Seq, v.last.Seq)
	}
	for _, c := range v.promised[e.Seq] {
		if c.Root != e.Hash {
			v.fault("entry %d is not the one that a checkpoint was signed for", e.Seq)
			continue
		}
		v.Checkpoints++
	}
	delete(v.promised, e.Seq)
	v.last = e
	return v.body(ctx, &e)
}

func (v *verifier) body(ctx context.Context, e *Entry) error {
	if !v.bodies || e.Body == "" {
		return nil
	}
	switch b, err := v.log.Blob(ctx, e.Body); {
	case errors.Is(err, ErrNotFound):
		v.Removed++
	case errors.Is(err, ErrCorrupt):
		v.fault("the body of entry %d: %v", e.Seq, err)
	case err != nil:
		return fmt.Errorf("verifying the body of entry %d: %w", e.Seq, err)
	case touchstone.DigestOf(b) != e.Body:
		v.fault("the body of entry %d was changed", e.Seq)
	default:
		v.Bodies++
	}
	return nil
}

// end finds what is promised by a checkpoint and not there.
func (v *verifier) end() {
	sizes := make([]uint64, 0, len(v.promised))
	for size := range v.promised {
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	for _, size := range sizes {
		if size > v.last.Seq {
			v.fault("the log ends with entry %d, and a checkpoint was signed for %d: its end was cut off", v.last.Seq, size)
			continue
		}
		v.fault("entry %d, which a checkpoint was signed for, is missing", size)
	}
}

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrFull says that no more stamps can be verified for a subject.
var ErrFull = errors.New("no more states of files can be verified for this subject")

// ErrUnwatched says that a subject is not watched.
var ErrUnwatched = errors.New("the subject is not watched")

// Verify lets the file run in the subject, as long as it is in that state.
func (l *Layer) Verify(subject uint64, stamp Stamp) error {
	return l.VerifyAll(subject, []Stamp{stamp})
}

// VerifyAll verifies many at once. When there is no more room, states of a file that
// is verified in a later one are forgotten; if that does not do, it returns ErrFull,
// and some of the stamps may be verified.
func (l *Layer) VerifyAll(subject uint64, stamps []Stamp) error {
	if len(stamps) == 0 {
		return nil
	}
	keys := make([]kernelStamp, len(stamps))
	times := make([]uint64, len(stamps))
	now := uint64(sinceBoot())
	for i, s := range stamps {
		keys[i], times[i] = s.toKernel(), now
	}
	return l.stamps.use(subject, func(m *ebpf.Map) error {
		_, err := m.BatchUpdate(keys, times, nil)
		if isFull(err) {
			if err := dropSuperseded(m); err != nil {
				return fmt.Errorf("making room for verified files of subject %d: %w", subject, err)
			}
			_, err = m.BatchUpdate(keys, times, nil)
		}
		if isFull(err) {
			err = ErrFull
		}
		if err != nil {
			return fmt.Errorf("verifying files of subject %d: %w", subject, err)
		}
		return nil
	})
}

// Verified says whether the file may run in the subject, in that state.
func (l *Layer) Verified(subject uint64, stamp Stamp) (bool, error) {
	var verified bool
	err := l.stamps.use(subject, func(m *ebpf.Map) error {
		var when uint64
		err := m.Lookup(stamp.toKernel(), &when)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		verified = err == nil
		return err
	})
	return verified, err
}

// Forget takes back everything that was verified for the subject.
func (l *Layer) Forget(subject uint64) error {
	if err := l.stamps.empty(subject); err != nil {
		return fmt.Errorf("forgetting the verified files of subject %d: %w", subject, err)
	}
	return nil
}

// dropSuperseded forgets all states of each file but the one verified last.
func dropSuperseded(m *ebpf.Map) error {
	type file struct {
		dev uint32
		ino uint64
	}
	type state struct {
		stamp kernelStamp
		when  uint64
	}
	last := make(map[file]state)
	var drop []kernelStamp
	var s state
	entries := m.Iterate()
	for entries.Next(&s.stamp, &s.when) {
		f := file{s.stamp.Dev, s.stamp.Ino}
		other, twice := last[f]
		switch {
		case !twice:
			last[f] = s
		case other.when < s.when || other.when == s.when && other.stamp.Ctime < s.stamp.Ctime:
			drop = append(drop, other.stamp)
			last[f] = s
		default:
			drop = append(drop, s.stamp)
		}
	}
	if err := entries.Err(); err != nil {
		return err
	}
	for _, stamp := range drop {
		if err := m.Delete(stamp); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

func isFull(err error) bool { return errors.Is(err, unix.E2BIG) }

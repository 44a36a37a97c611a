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
	l.mu.Lock()
	defer l.mu.Unlock()
	m, err := l.stampsOf(subject)
	if err != nil {
		return notWatched(subject, err)
	}
	keys := make([]kernelStamp, len(stamps))
	times := make([]uint64, len(stamps))
	now := uint64(sinceBoot())
	for i, s := range stamps {
		keys[i], times[i] = s.toKernel(), now
	}
	_, err = m.BatchUpdate(keys, times, nil)
	if isFull(err) {
		if err := dropSuperseded(m); err != nil {
			return fmt.Errorf("making room for verified files of subject %d: %w", subject, err)
		}
		_, err = m.BatchUpdate(keys, times, nil)
	}
	if isFull(err) {
		return fmt.Errorf("verifying files of subject %d: %w", subject, ErrFull)
	}
	if err != nil {
		return fmt.Errorf("verifying files of subject %d: %w", subject, err)
	}
	return nil
}

// Verified says whether the file may run in the subject, in that state.
func (l *Layer) Verified(subject uint64, stamp Stamp) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, err := l.stampsOf(subject)
	if err != nil {
		return false, notWatched(subject, err)
	}
	var when uint64
	err = m.Lookup(stamp.toKernel(), &when)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Forget takes back everything that was verified for the subject.
func (l *Layer) Forget(subject uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	inner, err := ebpf.NewMap(l.spec.Maps[kernelMapStamps].InnerMap)
	if err != nil {
		return fmt.Errorf("forgetting the verified files of subject %d: %w", subject, err)
	}
	if err := l.maps[kernelMapStamps].Update(subject, inner, ebpf.UpdateExist); err != nil {
		inner.Close()
		return notWatched(subject, err)
	}
	if old := l.verified[subject]; old != nil {
		old.Close()
	}
	l.verified[subject] = inner
	return nil
}

// stampsOf returns the subject's map; ebpf.ErrKeyNotExist if it has none.
func (l *Layer) stampsOf(subject uint64) (*ebpf.Map, error) {
	if m := l.verified[subject]; m != nil {
		return m, nil
	}
	var m *ebpf.Map
	if err := l.maps[kernelMapStamps].Lookup(subject, &m); err != nil {
		return nil, err
	}
	l.verified[subject] = m
	return m, nil
}

func notWatched(subject uint64, err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		err = ErrUnwatched
	}
	return fmt.Errorf("files of subject %d: %w", subject, err)
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

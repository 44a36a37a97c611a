package bpf

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sync/errgroup"
)

// stampSets are the states of files that are verified: for each subject a map of its
// own within the kernel's map of maps. To put one there, and to take one out, the
// kernel waits until no program can still see what was there before: ten milliseconds
// and more. So no lock is held meanwhile that concerns other subjects, and those to
// come can have theirs beforehand.
type stampSets struct {
	outer *ebpf.Map
	inner *ebpf.MapSpec

	mu     sync.Mutex
	open   map[uint64]*stampSet // by subject
	closed bool
}

// stampSet is the map of one subject, in this process.
type stampSet struct {
	mu sync.Mutex // held while it is used or replaced
	m  *ebpf.Map  // nil until it is open
}

func newStampSets(outer *ebpf.Map, inner *ebpf.MapSpec) *stampSets {
	return &stampSets{outer: outer, inner: inner, open: make(map[uint64]*stampSet)}
}

// take returns the set of a subject, locked.
func (s *stampSets) take(subject uint64) (*stampSet, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	set := s.open[subject]
	if set == nil {
		set = &stampSet{}
		s.open[subject] = set
	}
	s.mu.Unlock()
	set.mu.Lock()
	return set, nil
}

var errClosed = errors.New("the layer is closed")

// use has something done with the map of a subject; its error wraps ErrUnwatched if it
// has none.
func (s *stampSets) use(subject uint64, do func(*ebpf.Map) error) error {
	set, err := s.take(subject)
	if err != nil {
		return err
	}
	defer set.mu.Unlock()
	if err := s.find(subject, set); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			s.forget(subject, set)
			err = ErrUnwatched
		}
		return fmt.Errorf("files of subject %d: %w", subject, err)
	}
	return do(set.m)
}

// find opens the map that the kernel has; ebpf.ErrKeyNotExist if there is none. The
// caller has the set locked.
func (s *stampSets) find(subject uint64, set *stampSet) error {
	if set.m != nil {
		return nil
	}
	return s.outer.Lookup(subject, &set.m)
}

// forget takes a set without a map out of those that are open.
func (s *stampSets) forget(subject uint64, set *stampSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[subject] == set {
		delete(s.open, subject)
	}
}

// make makes sure that a subject has a map: the one that it has, or an empty one.
func (s *stampSets) make(subject uint64) error {
	set, err := s.take(subject)
	if err != nil {
		return err
	}
	defer set.mu.Unlock()
	if err := s.find(subject, set); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return s.put(subject, set, ebpf.UpdateNoExist)
}

// empty gives a subject that has a map another one.
func (s *stampSets) empty(subject uint64) error {
	set, err := s.take(subject)
	if err != nil {
		return err
	}
	defer set.mu.Unlock()
	err = s.put(subject, set, ebpf.UpdateExist)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		err = ErrUnwatched
	}
	return err
}

func (s *stampSets) put(subject uint64, set *stampSet, how ebpf.MapUpdateFlags) error {
	m, err := ebpf.NewMap(s.inner)
	if err != nil {
		return err
	}
	if err := s.outer.Update(subject, m, how); err != nil {
		return errors.Join(err, m.Close())
	}
	old := set.m
	set.m = m
	if old == nil {
		return nil
	}
	return old.Close()
}

// drop forgets everything that is verified for a subject.
func (s *stampSets) drop(subject uint64) error {
	set, err := s.take(subject)
	if err != nil {
		return err
	}
	defer set.mu.Unlock()
	err = s.outer.Delete(subject)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		err = nil
	}
	if set.m != nil {
		err = errors.Join(err, set.m.Close())
		set.m = nil
	}
	s.forget(subject, set)
	return err
}

// close lets go of the maps, and leaves them in the kernel.
func (s *stampSets) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.closed = true
	all := s.open
	s.open = nil
	s.mu.Unlock()
	var errs []error
	for _, set := range all {
		set.mu.Lock()
		if set.m != nil {
			errs = append(errs, set.m.Close())
		}
		set.mu.Unlock()
	}
	return errors.Join(errs...)
}

// atOnce is how many maps are put into the kernel at once: those that wait, wait
// together.
const atOnce = 32

// Reserve makes room for subjects that will be watched, so that Watch need not wait
// for that. What is reserved and never watched costs some kilobytes, and nothing
// is lost where it is reserved again.
func (l *Layer) Reserve(subjects ...uint64) error {
	var all errgroup.Group
	all.SetLimit(atOnce)
	for _, subject := range subjects {
		all.Go(func() error { return l.stamps.make(subject) })
	}
	if err := all.Wait(); err != nil {
		return fmt.Errorf("making room for subjects: %w", err)
	}
	return nil
}

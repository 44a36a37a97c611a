package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Watch makes the tasks of that identity a subject, or changes the mode of one that
// is watched. It is watched from then on, with what is verified for it: a subject
// whose files are known is best watched with Report, verified, and then watched with
// the mode that is meant.
//
// A cgroup or mount namespace of another subject becomes this one's. A PID namespace
// stays its first owner's, for the containers of a pod may share one. Mode alone is
// changed with an Identity of zeros.
func (l *Layer) Watch(subject uint64, id Identity, mode Mode) error {
	if subject == 0 {
		return errors.New("subject 0 stands for none")
	}
	if err := l.stamps.make(subject); err != nil {
		return fmt.Errorf("watching subject %d: %w", subject, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.prepare(subject); err != nil {
		return fmt.Errorf("watching subject %d: %w", subject, err)
	}
	kernel := mode.toKernel()
	if err := l.maps[kernelMapSubjects].Put(subject, kernel); err != nil {
		return fmt.Errorf("watching subject %d: %w", subject, err)
	}
	l.forks[subject] = kernel.Forks != 0
	for _, known := range []struct {
		by       string
		key      any
		is       bool
		how      ebpf.MapUpdateFlags
		tolerate error
	}{
		{kernelMapCgroups, id.Cgroup, id.Cgroup != 0, ebpf.UpdateAny, nil},
		{kernelMapMountSpaces, id.MountNS, id.MountNS != 0, ebpf.UpdateAny, nil},
		{kernelMapPidSpaces, id.PIDNS.toKernel(), id.PIDNS.Inode != 0, ebpf.UpdateNoExist, ebpf.ErrKeyExist},
	} {
		if !known.is {
			continue
		}
		err := l.maps[known.by].Update(known.key, subject, known.how)
		if err != nil && (known.tolerate == nil || !errors.Is(err, known.tolerate)) {
			return fmt.Errorf("watching subject %d by its %s: %w", subject, known.by, err)
		}
	}
	return l.wantForks()
}

// prepare makes room for what is counted of a subject.
func (l *Layer) prepare(subject uint64) error {
	processors, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for m, empty := range map[string]any{kernelMapTallies: make([]kernelTally, processors), kernelMapBuckets: kernelBucket{}} {
		err := l.maps[m].Update(subject, empty, ebpf.UpdateNoExist)
		if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
	}
	return nil
}

// wantForks has forks looked at only while some subject wants them.
func (l *Layer) wantForks() error {
	var want uint32
	for _, wanted := range l.forks {
		if wanted {
			want = 1
			break
		}
	}
	if want == l.wanted {
		return nil
	}
	if err := l.changeControlLocked(func(c *kernelControl) { c.Forks = want }); err != nil {
		return err
	}
	l.wanted = want
	return nil
}

// findForks finds whose forks an earlier guard wanted to see.
func (l *Layer) findForks() error {
	subjects, err := l.subjects()
	if err != nil {
		return err
	}
	var c kernelControl
	if err := l.maps[kernelMapControls].Lookup(uint32(0), &c); err != nil {
		return fmt.Errorf("reading the control map: %w", err)
	}
	l.wanted, l.forks = c.Forks, make(map[uint64]bool)
	for subject, s := range subjects {
		l.forks[subject] = s.Forks != 0
	}
	return nil
}

func (l *Layer) subjects() (map[uint64]kernelSubject, error) {
	all := make(map[uint64]kernelSubject)
	var subject uint64
	var s kernelSubject
	entries := l.maps[kernelMapSubjects].Iterate()
	for entries.Next(&subject, &s) {
		all[subject] = s
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("reading the subjects: %w", err)
	}
	return all, nil
}

// Unwatch ends what Watch began, and forgets what was verified and counted.
func (l *Layer) Unwatch(subject uint64) error {
	if err := errors.Join(l.unwatch(subject), l.stamps.drop(subject)); err != nil {
		return fmt.Errorf("ending the watch on subject %d: %w", subject, err)
	}
	return nil
}

func (l *Layer) unwatch(subject uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := []error{
		dropValue[uint64](l.maps[kernelMapCgroups], subject),
		dropValue[uint64](l.maps[kernelMapMountSpaces], subject),
		dropValue[kernelPidSpace](l.maps[kernelMapPidSpaces], subject),
	}
	for _, m := range []string{kernelMapSubjects, kernelMapTallies, kernelMapBuckets} {
		if err := l.maps[m].Delete(subject); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	delete(l.forks, subject)
	return errors.Join(append(errs, l.wantForks())...)
}

// dropValue deletes the entries that have the value.
func dropValue[K comparable](m *ebpf.Map, value uint64) error {
	var drop []K
	var key K
	var v uint64
	entries := m.Iterate()
	for entries.Next(&key, &v) {
		if v == value {
			drop = append(drop, key)
		}
	}
	if err := entries.Err(); err != nil {
		return err
	}
	for _, key := range drop {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// Watched is a subject as the kernel has it.
type Watched struct {
	Subject uint64
	Mode    Mode
	// How it is told; several of a kind where it was watched more than once.
	Cgroups []uint64
	MountNS []uint64
	PIDNS   []PIDNamespace
}

// Watched returns every subject, those of an earlier guard included, in no order. A
// guard that starts again goes on with their numbers, to which belongs what was
// verified, and ends the watch on those that run no more.
func (l *Layer) Watched() ([]Watched, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	modes, err := l.subjects()
	if err != nil {
		return nil, err
	}
	cgroups, err := byValue[uint64](l.maps[kernelMapCgroups])
	if err != nil {
		return nil, err
	}
	mounts, err := byValue[uint64](l.maps[kernelMapMountSpaces])
	if err != nil {
		return nil, err
	}
	pids, err := byValue[kernelPidSpace](l.maps[kernelMapPidSpaces])
	if err != nil {
		return nil, err
	}
	var all []Watched
	for subject, mode := range modes {
		w := Watched{Subject: subject, Mode: modeOf(mode), Cgroups: cgroups[subject], MountNS: mounts[subject]}
		for _, space := range pids[subject] {
			w.PIDNS = append(w.PIDNS, pidNamespaceOf(space))
		}
		all = append(all, w)
	}
	return all, nil
}

func byValue[K comparable](m *ebpf.Map) (map[uint64][]K, error) {
	all := make(map[uint64][]K)
	var key K
	var value uint64
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		all[value] = append(all[value], key)
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("reading how subjects are told: %w", err)
	}
	return all, nil
}

// Holds reports whether a process waits to be judged.
func (l *Layer) Holds(pid int) bool {
	var one kernelHeld
	return l.maps[kernelMapWaiting].Lookup(uint32(pid), &one) == nil
}

// Unread returns how many bytes of events wait to be read.
func (l *Layer) Unread() int { return l.reader.AvailableBytes() }

// Held returns the processes that wait to be judged, by PID, with their subjects:
// those that an earlier guard did not come to are among them.
func (l *Layer) Held() (map[int]uint64, error) {
	all := make(map[int]uint64)
	var pid uint32
	var one kernelHeld
	entries := l.maps[kernelMapWaiting].Iterate()
	for entries.Next(&pid, &one) {
		all[int(pid)] = one.Subject
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("reading what is held: %w", err)
	}
	return all, nil
}

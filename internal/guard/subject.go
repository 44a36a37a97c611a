package guard

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/containerd"
)

// subject is one container in one life, or the host: what the layers watch.
type subject struct {
	id        uint64 // given once, never again while the guard runs
	host      bool
	own       bool                  // the guard runs in it
	container *containerd.Container // nil for the host
	started   time.Time

	image    atomic.Pointer[image] // nil until the manifest is known
	stopping atomic.Bool
	gone     atomic.Bool
	watched  atomic.Bool // by every layer that is to be had, with what is known of it
	begun    atomic.Bool // its first process has become what was asked for
	unswept  atomic.Bool // something that runs could not be looked at

	lost   atomic.Uint64 // events that the kernel had no room for
	untold atomic.Uint64 // those of them that were verdicts

	successor successor
	drift     drifting

	applying sync.Mutex // held while the layers are told the policy

	mu       sync.Mutex
	running  touchstone.Running
	artifact touchstone.Artifact
	place    touchstone.Place
	unplaced bool       // the cluster has not told of its pod yet
	debug    bool       // an ephemeral container: being in it is a login
	declared [][]string // commands of its probes and hooks
	policy   policy     // what the layers were told
	excused  bool       // the kernel's layer was told of something that is not the image's and was let be
	until    time.Time  // when the first of that is to be judged anew; zero for never
	problem  string     // why it is watched less than it should be
}

// policy is what is done in a subject as a matter of course.
type policy struct {
	run, unjudged, change, login judgement
	// ready is true once the layers may stop what is unknown: its manifest is there.
	ready bool
	// until is when it has to be found anew; zero for never.
	until time.Time
}

// pid is the process through whose root the files are seen.
func (s *subject) pid() int {
	if s.host {
		return 1
	}
	return s.container.Init.PID
}

// root is the subject's root as this process can open it.
func (s *subject) root() string { return fmt.Sprintf("/proc/%d/root", s.pid()) }

// name is what people call it.
func (s *subject) name() string {
	r := s.who()
	switch {
	case s.host:
		return "the host"
	case r.Pod != "":
		return r.Namespace + "/" + r.Pod + "/" + r.Workload.Container
	default:
		return r.ID
	}
}

// who names the subject.
func (s *subject) who() touchstone.Running {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// excuse notes that something was let be that is not the image's.
func (s *subject) excuse(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.excused, s.until = true, sooner(s.until, until)
}

// pardoned reports whether something was let be that is to be judged anew, and
// forgets that: because its time is over, or, with all, in any case.
func (s *subject) pardoned(now time.Time, all bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.excused || !all && (s.until.IsZero() || now.Before(s.until)) {
		return false
	}
	s.excused, s.until = false, time.Time{}
	return true
}

// about returns what judging needs of the subject.
func (s *subject) about() (touchstone.Artifact, touchstone.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.artifact, s.place
}

// settle takes over where it stands and what it runs, as the ground says.
func (s *subject) settle(ground *Ground, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host {
		s.place = ground.Rules.PlaceOf(ground.Cluster, "", node, nil)
		if ground.Host != nil {
			s.place = *ground.Host
		}
		return
	}
	place, pod := ground.place(s.running.Namespace, s.running.PodUID, node)
	s.place, s.declared, s.debug = place, nil, false
	s.unplaced = pod == nil && ground.Pods != nil && s.running.PodUID != ""
	if pod == nil {
		return
	}
	container := s.container.Pod.Container
	s.running.Workload = pod.Workload
	s.running.Workload.Container = container
	s.declared, s.debug = pod.Declared[container], pod.Debug[container]
	if name := pod.Images[container]; name != "" {
		s.artifact.Name = name
	}
}

func newSubject(id uint64, c containerd.Container) *subject {
	s := &subject{id: id, container: &c, started: c.Started}
	s.running = touchstone.Running{ID: c.ID}
	if c.Pod.CRI {
		s.running.Pod, s.running.PodUID, s.running.Namespace = c.Pod.Name, c.Pod.UID, c.Pod.Namespace
		s.running.Workload = touchstone.Workload{Kind: "Pod", Name: c.Pod.Name, Container: c.Pod.Container}
	}
	s.artifact = touchstone.Artifact{Name: c.Image.Name, Kind: touchstone.KindImage, Digest: c.Image.Manifest}
	if c.Image.Target != c.Image.Manifest {
		s.artifact.Index = c.Image.Target
	}
	return s
}

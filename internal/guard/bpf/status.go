package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cilium/ebpf/link"
)

// Status is what the kernel says of the layer.
type Status struct {
	Attached []Attachment
	// Missing names the hooks that should be attached, and are not. While there are
	// any, nothing is to be called enforced.
	Missing []string
	// Mappings says whether files that are mapped to be executed are looked at.
	Mappings bool
	Version  string        // of the programs that act
	Watched  int           // subjects
	Beat     time.Duration // since the last
}

// Attachment is one program at its hook.
type Attachment struct {
	Hook       string // "on_exec", "on_fork", "on_exit", "on_call"
	Tracepoint string // of the kernel, as "sched_process_exec"
	Link       uint32 // the kernel's numbers, as bpftool shows them
	Program    uint32
}

// Status asks the kernel; it remembers nothing.
func (l *Layer) Status() (Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var s Status
	var control kernelControl
	if err := l.maps[kernelMapControls].Lookup(uint32(0), &control); err != nil {
		return s, fmt.Errorf("reading the control map: %w", err)
	}
	all := append(hooks(), kernelProgOnCall)
	for _, hook := range all {
		a, err := ask(l.programs.folder, hook)
		switch {
		case err == nil && control.Active == l.programs.generation:
			s.Attached = append(s.Attached, a)
			s.Mappings = s.Mappings || hook == kernelProgOnCall
		case err == nil || errors.Is(err, os.ErrNotExist):
			if slices.Contains(hooks(), hook) || l.config.Mappings {
				s.Missing = append(s.Missing, hook)
			}
		default:
			return s, err
		}
	}
	var beat uint64
	if err := l.maps[kernelMapHeartbeat].Lookup(uint32(0), &beat); err != nil {
		return s, fmt.Errorf("reading the heartbeat: %w", err)
	}
	s.Beat = sinceBoot() - time.Duration(beat)
	s.Version = version()
	subjects, err := l.subjects()
	s.Watched = len(subjects)
	return s, err
}

// ask returns what the kernel knows of a hook. The error wraps os.ErrNotExist if
// nothing is attached.
func ask(folder, hook string) (Attachment, error) {
	pinned, err := link.LoadPinnedLink(filepath.Join(folder, "links", hook), nil)
	if err != nil {
		return Attachment{}, fmt.Errorf("asking for what is attached as %s: %w", hook, err)
	}
	defer pinned.Close()
	info, err := pinned.Info()
	if err != nil {
		return Attachment{}, fmt.Errorf("asking for what is attached as %s: %w", hook, err)
	}
	a := Attachment{Hook: hook, Link: uint32(info.ID), Program: uint32(info.Program)}
	if tp := info.RawTracepoint(); tp != nil {
		a.Tracepoint = tp.Name
	}
	return a, nil
}

package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
)

// evidence is the folder of what was kept of containers before they were stopped:
//
//	DIR/01J…/event.json   the event, with the process and those above it
//	DIR/01J…/file         what was executed or changed, up to a size
//
// The oldest go when there are too many.
type evidence struct {
	dir string
	// most returns up to how many bytes of one file are kept, and whether data is
	// kept at all.
	limits func() (most int64, data bool)
}

const (
	// mostEvidence is how many stopped containers are remembered so.
	mostEvidence = 200
	// keepWithin bounds how long a stop waits for the evidence.
	keepWithin = 100 * time.Millisecond
)

func openEvidence(dir string, limits func() (int64, bool)) (*evidence, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the folder of evidence: %w", err)
	}
	return &evidence{dir, limits}, nil
}

// keep writes down what is known before the container is stopped. The file is read
// through the container's root, without following links out of it.
func (v *evidence) keep(s *subject, e *touchstone.RuntimeEvent, file string) error {
	folder := filepath.Join(v.dir, e.ID)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(folder, "event.json"), append(data, '\n'), 0o600)
	if most, _ := v.limits(); file != "" && most > 0 {
		err = errors.Join(err, copyOf(s.root(), file, filepath.Join(folder, "file"), most))
	}
	v.prune()
	return err
}

// copyOf copies a regular file below the root, and no more of it than the limit. A
// file that takes longer than keepWithin is kept as far as it was read.
func copyOf(root, name, to string, most int64) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the root of a container: %w", err)
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return fmt.Errorf("keeping %q: %w", name, err)
	}
	in := os.NewFile(uintptr(fd), name)
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("keeping %q: it is no regular file: %w", name, errors.Join(err, fs.ErrInvalid))
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	deadline := time.Now().Add(keepWithin)
	for copied := int64(0); copied < most && time.Now().Before(deadline); {
		n, err := io.CopyN(out, in, min(1<<20, most-copied))
		copied += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("keeping %q: %w", name, err)
		}
	}
	return nil
}

// prune lets the oldest go; ids sort by time.
func (v *evidence) prune() {
	entries, err := os.ReadDir(v.dir)
	if err != nil || len(entries) <= mostEvidence {
		return
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	for _, name := range names[:len(names)-mostEvidence] {
		_ = os.RemoveAll(filepath.Join(v.dir, name))
	}
}

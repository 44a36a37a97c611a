package bpf

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Below the configured folder lies, for each layout of the maps:
//
//	LAYOUT/maps/NAME                      the maps
//	LAYOUT/GENERATION-VERSION/links/NAME  what is attached
//	                         /programs/NAME
//
// The generation that acts is named in the control map.

// makeFolder makes the folder, on a file system of type bpf.
func makeFolder(folder string) error {
	parent := filepath.Dir(folder)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("making a place for pinned programs: %w", err)
	}
	pinnable, err := isBPFFS(parent)
	if err != nil {
		return err
	}
	if !pinnable {
		if err := unix.Mount("bpf", parent, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
			return fmt.Errorf("mounting a bpf file system at %s: %w\nhint: mount -t bpf bpf %s", parent, err, parent)
		}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making a place for pinned programs: %w", err)
	}
	return nil
}

func isBPFFS(folder string) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return false, fmt.Errorf("asking for the file system of %s: %w", folder, err)
	}
	return fs.Type == unix.BPF_FS_MAGIC, nil
}

// lockFolder keeps two guards from changing what is pinned; the kernel lets go of it
// when this process ends, however it does.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("locking the eBPF layer: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrHeld
		}
		return nil, fmt.Errorf("locking the eBPF layer: %w", err)
	}
	return f, nil
}

// size sets the sizes that the configuration gives.
func size(spec *ebpf.CollectionSpec, c Config) error {
	sizes := map[string]int{
		kernelMapSubjects:    c.Subjects,
		kernelMapCgroups:     c.Subjects,
		kernelMapMountSpaces: c.Subjects,
		kernelMapPidSpaces:   c.Subjects,
		kernelMapStamps:      c.Subjects,
		kernelMapTallies:     c.Subjects,
		kernelMapBuckets:     c.Subjects,
		kernelMapEvents:      c.Ring,
	}
	for name, n := range sizes {
		m := spec.Maps[name]
		if m == nil {
			return fmt.Errorf("the programs have no map %s", name)
		}
		m.MaxEntries = uint32(n)
	}
	spec.Maps[kernelMapStamps].InnerMap.MaxEntries = uint32(c.Stamps)
	return nil
}

// layoutOf names what two versions must have in common for one to go on with the
// other's maps: their sizes, and the fields of what lies in them.
func layoutOf(spec *ebpf.CollectionSpec) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		for m := spec.Maps[name]; m != nil && name != kernelMapDesk && name[0] != '.'; m = m.InnerMap {
			fmt.Fprintln(h, name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
		}
	}
	for _, name := range []string{"control", "subject", "stamp", "tally", "bucket", "pid_space", "held", "event"} {
		var s *btf.Struct
		if err := spec.Types.TypeByName(name, &s); err != nil {
			fmt.Fprintln(h, name, err)
			continue
		}
		for _, m := range s.Members {
			fmt.Fprintln(h, name, m.Name, m.Offset)
		}
	}
	return "layout_" + hex.EncodeToString(h.Sum(nil)[:6])
}

// openMaps opens the pinned maps, and makes and pins those that are not there.
func openMaps(folder string, spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making a place for pinned maps: %w", err)
	}
	open := make(map[string]*ebpf.Map)
	for name, s := range spec.Maps {
		if name[0] == '.' || name == kernelMapDesk {
			continue
		}
		m, err := openMap(filepath.Join(folder, name), s)
		if err != nil {
			for _, m := range open {
				m.Close()
			}
			return nil, fmt.Errorf("opening the map %s: %w", name, err)
		}
		open[name] = m
	}
	return open, nil
}

func openMap(path string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err == nil {
		if err := spec.Compatible(m); err != nil {
			m.Close()
			return nil, err
		}
		return m, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if m, err = ebpf.NewMap(spec); err != nil {
		return nil, err
	}
	if err := m.Pin(path); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Settle takes away what an earlier guard pinned in another layout of maps, and which
// has gone on beside this one. It is to be called when everything is watched and
// verified again.
func (l *Layer) Settle() error {
	entries, err := os.ReadDir(l.config.Folder)
	if err != nil {
		return fmt.Errorf("looking for earlier eBPF layers: %w", err)
	}
	for _, e := range entries {
		if e.Name() == filepath.Base(l.folder) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(l.config.Folder, e.Name())); err != nil {
			return fmt.Errorf("removing an earlier eBPF layer: %w", err)
		}
	}
	return nil
}

package bpf

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
)

// programs are one generation of them. Each knows its number, and acts only while
// that is the active one: so the next can be attached beside them, and the turn
// passed from one to the other by one write.
type programs struct {
	generation uint64
	folder     string
}

// hooks are what is always attached.
func hooks() []string {
	return []string{kernelProgOnExec, kernelProgOnFork, kernelProgOnExit, kernelProgOnSignal}
}

func version() string {
	sum := sha256.Sum256(_KernelBytes)
	return hex.EncodeToString(sum[:6])
}

func (l *Layer) openPrograms() error {
	var control kernelControl
	if err := l.maps[kernelMapControls].Lookup(uint32(0), &control); err != nil {
		return fmt.Errorf("reading the control map: %w", err)
	}
	present, err := l.generations()
	if err != nil {
		return err
	}
	for _, p := range present {
		if p.generation != control.Active {
			if err := os.RemoveAll(p.folder); err != nil { // a start that did not come to its end
				return fmt.Errorf("removing programs that do not act: %w", err)
			}
			continue
		}
		if strings.HasSuffix(p.folder, "-"+version()) && whole(p.folder) == nil {
			if err := l.take(p); err != nil {
				return err
			}
			return l.SetMappings(l.config.Mappings)
		}
	}
	next, err := l.load(control.Active + 1)
	if err != nil {
		return err
	}
	if err := l.take(next); err != nil {
		return err
	}
	if err := next.attach(l.config.Mappings); err != nil {
		return errors.Join(err, os.RemoveAll(next.folder))
	}
	if err := l.changeControl(func(c *kernelControl) { c.Active = next.generation }); err != nil {
		return err
	}
	for _, p := range present {
		if err := os.RemoveAll(p.folder); err != nil {
			return fmt.Errorf("removing the programs that acted before: %w", err)
		}
	}
	return nil
}

// take goes by these programs from now on.
func (l *Layer) take(p programs) error {
	list, err := p.lister()
	if err != nil {
		return err
	}
	l.programs, l.lister = p, list
	return l.findHost()
}

// generations lists those that are pinned.
func (l *Layer) generations() ([]programs, error) {
	entries, err := os.ReadDir(l.folder)
	if err != nil {
		return nil, fmt.Errorf("looking for pinned programs: %w", err)
	}
	var found []programs
	for _, e := range entries {
		number, _, ok := strings.Cut(e.Name(), "-")
		if n, err := strconv.ParseUint(number, 10, 64); ok && err == nil {
			found = append(found, programs{generation: n, folder: filepath.Join(l.folder, e.Name())})
		}
	}
	return found, nil
}

// load loads and pins the programs, and attaches none.
func (l *Layer) load(generation uint64) (programs, error) {
	spec := l.spec.Copy()
	if err := spec.Variables[kernelVarGeneration].Set(generation); err != nil {
		return programs{}, err
	}
	if err := spec.Variables[kernelVarBackingFlag].Set(backingFlag()); err != nil {
		return programs{}, err
	}
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: l.maps})
	if err != nil {
		return programs{}, fmt.Errorf("loading the programs: %w", err)
	}
	defer loaded.Close()
	p := programs{generation: generation, folder: filepath.Join(l.folder, fmt.Sprintf("%d-%s", generation, version()))}
	for _, kind := range []string{"programs", "links"} {
		if err := os.MkdirAll(filepath.Join(p.folder, kind), 0o700); err != nil {
			return programs{}, fmt.Errorf("making a place for pinned programs: %w", err)
		}
	}
	for name, program := range loaded.Programs {
		if err := program.Pin(filepath.Join(p.folder, "programs", name)); err != nil {
			return programs{}, fmt.Errorf("pinning the program %s: %w", name, err)
		}
	}
	return p, nil
}

func (p programs) attach(mappings bool) error {
	wanted := hooks()
	if mappings {
		wanted = append(wanted, kernelProgOnCall)
	}
	for _, hook := range wanted {
		if err := p.attachOne(hook); err != nil {
			return err
		}
	}
	return nil
}

func (p programs) attachOne(hook string) error {
	program, err := ebpf.LoadPinnedProgram(filepath.Join(p.folder, "programs", hook), nil)
	if err != nil {
		return fmt.Errorf("attaching %s: %w", hook, err)
	}
	defer program.Close()
	made, err := link.AttachTracing(link.TracingOptions{Program: program})
	if err != nil {
		return fmt.Errorf("attaching %s: %w", hook, err)
	}
	defer made.Close() // the pin holds it
	if err := made.Pin(filepath.Join(p.folder, "links", hook)); err != nil {
		return fmt.Errorf("pinning %s: %w", hook, err)
	}
	return nil
}

// whole says whether everything is attached that always must be.
func whole(folder string) error {
	for _, hook := range hooks() {
		if _, err := ask(folder, hook); err != nil {
			return err
		}
	}
	return nil
}

// SetMappings says whether files that are mapped to be executed are looked at.
func (l *Layer) SetMappings(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config.Mappings = on
	_, err := ask(l.programs.folder, kernelProgOnCall)
	switch {
	case on && errors.Is(err, os.ErrNotExist):
		return l.programs.attachOne(kernelProgOnCall)
	case !on && err == nil:
		if err := os.Remove(filepath.Join(l.programs.folder, "links", kernelProgOnCall)); err != nil {
			return fmt.Errorf("detaching %s: %w", kernelProgOnCall, err)
		}
		return nil
	case errors.Is(err, os.ErrNotExist):
		return nil
	default:
		return err
	}
}

// backingFlag is FMODE_BACKING: bit 25 from 6.5 on, bit 24 since the file modes for
// fsnotify came, in 6.14.
func backingFlag() uint32 {
	var fn *btf.Func
	if kernel, err := btf.LoadKernelSpec(); err == nil && kernel.TypeByName("file_set_fsnotify_mode_from_watchers", &fn) == nil {
		return 1 << 24
	}
	if v, err := features.LinuxVersionCode(); err == nil && v >= 6<<16|14<<8 {
		return 1 << 24
	}
	return 1 << 25
}

package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Layer is the programs and maps in the kernel, and the hand that this process has
// on them. Its methods may be called from several goroutines, but for Events.
type Layer struct {
	config    Config
	hierarchy hierarchy
	folder    string // of this layout, below config.Folder
	lock      *os.File
	maps      map[string]*ebpf.Map
	reader    *ringbuf.Reader
	spec      *ebpf.CollectionSpec

	stamps *stampSets
	lister lister

	mu       sync.Mutex      // of changes to what is below, to the control map, and to who is watched
	programs programs        // that act
	forks    map[uint64]bool // by subject: whether its forks are to be told
	wanted   uint32          // what the control map says of forks
}

// ErrHeld says that another guard of this machine has the layer.
var ErrHeld = errors.New("another guard has the eBPF layer")

// Open takes over what is pinned in the configured folder, or loads and attaches it.
// There is no moment at which nothing is attached, if something was: programs of
// another version are attached before the old ones are taken away. What an earlier
// guard watched is still watched (see Watched); events that nobody has read come
// first.
//
// One process at a time can have it; another one's Open returns ErrHeld.
func Open(config Config) (*Layer, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Layer{config: config}
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the eBPF layer: %w", err), l.Close())
	}
	return l, nil
}

func (l *Layer) open() error {
	var err error
	if err := rlimit.RemoveMemlock(); err != nil { // before 5.11, maps count as locked memory
		return err
	}
	if l.hierarchy, err = findHierarchy(l.config.Cgroups); err != nil {
		return err
	}
	if err := makeFolder(l.config.Folder); err != nil {
		return err
	}
	if l.lock, err = lockFolder(l.config.Folder); err != nil {
		return err
	}
	if l.spec, err = loadKernel(); err != nil {
		return err
	}
	if err := size(l.spec, l.config); err != nil {
		return err
	}
	l.folder = filepath.Join(l.config.Folder, layoutOf(l.spec))
	if l.maps, err = openMaps(filepath.Join(l.folder, "maps"), l.spec); err != nil {
		return err
	}
	l.stamps = newStampSets(l.maps[kernelMapStamps], l.spec.Maps[kernelMapStamps].InnerMap)
	if err := l.changeControl(func(c *kernelControl) {
		next := l.config.control(l.hierarchy)
		next.Active, next.Forks, next.Mount = c.Active, c.Forks, c.Mount
		*c = next
	}); err != nil {
		return err
	}
	if err := l.findForks(); err != nil {
		return err
	}
	if err := l.Beat(); err != nil {
		return err
	}
	if err := l.openPrograms(); err != nil {
		return err
	}
	if l.reader, err = ringbuf.NewReader(l.maps[kernelMapEvents]); err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	return nil
}

// Close lets go of the layer, and leaves it at work. It ends Events; other methods
// return errors afterwards.
func (l *Layer) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	if l.reader != nil {
		errs = append(errs, l.reader.Close())
	}
	errs = append(errs, l.stamps.close())
	for _, m := range l.maps {
		errs = append(errs, m.Close())
	}
	errs = append(errs, l.lister.close())
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
		l.lock = nil
	}
	return errors.Join(errs...)
}

// Remove takes everything out of the kernel that lies in the folder, as for an
// uninstallation; "" is the default. Nothing is watched afterwards.
func Remove(folder string) error {
	if folder == "" {
		folder = "/sys/fs/bpf/touchstone"
	}
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("removing the eBPF layer: %w", err)
	}
	return nil
}

// Beat tells the kernel that somebody is there to judge what is held. It is to be
// called several times within Config.Stale.
func (l *Layer) Beat() error {
	if err := l.maps[kernelMapHeartbeat].Put(uint32(0), uint64(sinceBoot())); err != nil {
		return fmt.Errorf("telling the kernel that the guard is there: %w", err)
	}
	return nil
}

// sinceBoot is the clock of the kernel's programs.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // it has been there since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}

// changeControl changes the control map. The programs see each field change at
// once, but not all of them together.
func (l *Layer) changeControl(change func(*kernelControl)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changeControlLocked(change)
}

func (l *Layer) changeControlLocked(change func(*kernelControl)) error {
	var c kernelControl
	m := l.maps[kernelMapControls]
	if err := m.Lookup(uint32(0), &c); err != nil {
		return fmt.Errorf("reading the control map: %w", err)
	}
	change(&c)
	if err := m.Put(uint32(0), c); err != nil {
		return fmt.Errorf("writing the control map: %w", err)
	}
	return nil
}

package bpf

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"time"
)

// Config says how a Layer is set up; the zero value works, with the defaults that
// are named here. Sizes are reserved as they are used, but for Ring.
//
// Folder, Subjects, Stamps and Ring are properties of what is pinned: with others
// than before, Open finds nothing to take over, and starts beside it (see Settle).
type Config struct {
	// Folder is where programs and maps are pinned, on a file system of type bpf,
	// which is mounted at its parent if there is none. A guard in a container must be
	// given the host's, or what is pinned goes with the container.
	// Default /sys/fs/bpf/touchstone.
	Folder string
	// Cgroups is the host's cgroup file system. Default /sys/fs/cgroup.
	Cgroups string
	// Host is the subject of every task that is in no other; 0, the default, if
	// those are not to be watched.
	Host uint64
	// Mappings says whether files that are mapped to be executed are looked at. It
	// costs every system call of the machine 50 to 80 ns. See SetMappings.
	Mappings bool
	// Stale is the time without a Beat after which nothing is held any more: a
	// process that should be, or is, runs or dies, as Mode.Closed says. Before Linux
	// 6.13, those that are held wait for the next guard (see Held). Default 10 s.
	Stale time.Duration
	// Subjects is how many can be watched at a time. Default 1024.
	Subjects int
	// Stamps is how many states of files can be verified for one subject, 100 bytes
	// of the kernel's memory each, and 16 whether used or not. Default 4096.
	Stamps int
	// Ring is the size in bytes of the buffer for events, a power of two. An event
	// takes 0.3 to 5 kB. Default 4 MB.
	Ring int
	// Rate is how many events a second one subject may fill the buffer with, in the
	// long run, and Burst how many at once. What is above is lost, and counted.
	// Process events and verdicts have such a share each. Default 5000 and 10000.
	Rate, Burst int
}

func (c Config) withDefaults() (Config, error) {
	fill := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	fill(&c.Subjects, 1024)
	fill(&c.Stamps, 4096)
	fill(&c.Ring, 4<<20)
	fill(&c.Rate, 5000)
	fill(&c.Burst, 10000)
	if c.Folder == "" {
		c.Folder = "/sys/fs/bpf/touchstone"
	}
	if c.Cgroups == "" {
		c.Cgroups = "/sys/fs/cgroup"
	}
	if c.Stale == 0 {
		c.Stale = 10 * time.Second
	}
	for _, n := range []int{c.Subjects, c.Stamps, c.Ring, c.Rate, c.Burst, int(c.Stale)} {
		if n < 0 {
			return c, errors.New("a size or rate of the eBPF layer is negative")
		}
	}
	if bits.OnesCount(uint(c.Ring)) != 1 || c.Ring < 64<<10 {
		return c, fmt.Errorf("the event buffer of %d bytes is not a power of two from 64 kB up", c.Ring)
	}
	return c, nil
}

// control is the configuration as the programs read it, but for what they can tell
// of this host themselves.
func (c Config) control(h hierarchy) kernelControl {
	cost := uint64(time.Second) / uint64(c.Rate)
	return kernelControl{
		Host:      c.Host,
		Stale:     uint64(c.Stale),
		Cost:      cost,
		Burst:     cost * uint64(c.Burst),
		Plain:     uint64(c.Ring) / 4 * 3,
		Guard:     uint32(os.Getpid()),
		Hierarchy: h.index,
	}
}

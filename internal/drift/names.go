package drift

import (
	"slices"

	"golang.org/x/sys/unix"
	"touchstone.dev/touchstone/internal/eintr"
)

// nameBytes is how much of a folder's names is held at a time; a folder with
// more is read several times.
const nameBytes = 4 << 20

// direntBytes is how much of a folder the kernel is asked for at a time.
const direntBytes = 32 << 10

// nameCost is what a name takes beside its bytes.
const nameCost = 16

// readNames returns the names in an open folder from first on, sorted by their
// bytes, as many as fit into room bytes. more says that there are others behind
// the last. buf is for what the kernel says. check is called now and then; its
// error ends the reading.
func readNames(fd int, first string, room int, buf []byte, check func() error) (names []string, more bool, err error) {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return nil, false, err
	}
	held, ceiling := 0, ""
	var found []string
	for {
		n, err := eintr.Retry(func() (int, error) { return unix.ReadDirent(fd, buf) })
		if err != nil {
			return nil, false, err
		}
		if n <= 0 {
			break
		}
		_, _, found = unix.ParseDirent(buf[:n], -1, found[:0])
		for _, name := range found {
			if name >= first && (!more || name <= ceiling) {
				names = append(names, name)
				held += len(name) + nameCost
			}
		}
		if held > 2*room {
			names, held = smallest(names, room)
			more, ceiling = true, names[len(names)-1]
		}
		if err := check(); err != nil {
			return nil, false, err
		}
	}
	slices.Sort(names)
	names = slices.Compact(names) // a folder that changes may show a name twice
	if held > room {
		if cut, _ := smallest(names, room); len(cut) < len(names) {
			names, more = cut, true
		}
	}
	return names, more, nil
}

// smallest sorts names, cuts off what is more than room, and returns what is left
// and how much that takes. One name is always left.
func smallest(names []string, room int) (left []string, held int) {
	slices.Sort(names)
	for i, name := range names {
		if cost := len(name) + nameCost; i > 0 && held+cost > room {
			clear(names[i:])
			return names[:i], held
		}
		held += len(name) + nameCost
	}
	return names, held
}

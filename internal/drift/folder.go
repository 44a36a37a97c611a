package drift

import (
	"bytes"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is a folder on the way to the path being looked at.
type folder struct {
	fd       int // -1 while it is closed
	dev, ino uint64
	length   int // of its path
	lower    lower
	shown    *shown // what shows through from elsewhere
	names    []string
	held     int
	from     string // the first name that is not in names and was not looked at
	more     bool   // the folder has names from there on
	alone    string // the only name that counts; empty where all do
}

// openAlone opens the folder in which a volume lies that is a single file, and
// returns its name there.
func (w *walk) openAlone() (fd int, name string, err error) {
	folder := w.tree
	if folder.Inside != "" {
		folder.Inside, name = path.Split(strings.TrimRight(folder.Inside, "/"))
		folder.Inside += "."
	} else {
		folder.Path, name = path.Split(strings.TrimRight(folder.Path, "/"))
		folder.Path += "."
	}
	w.single = true
	fd, err = openRoot(&folder)
	return fd, name, err
}

// reopen opens a folder again that was closed on the way down, through one in it,
// if that still lies there.
func (w *walk) reopen(f, in *folder) {
	if f.fd >= 0 || in.fd < 0 {
		return
	}
	fd, err := openQuietly(in.fd, "..", unix.O_DIRECTORY, 0)
	if err != nil {
		return
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Dev != f.dev || st.Ino != f.ino {
		closeFD(fd)
		return
	}
	f.fd = fd
}

// component returns the name in path that follows its first length bytes.
func component(path []byte, length int) string {
	if length > 0 {
		length++
	}
	if length >= len(path) {
		return ""
	}
	name, _, _ := bytes.Cut(path[length:], []byte("/"))
	return string(name)
}

func appendName(path []byte, name string) []byte {
	if len(path) > 0 {
		path = append(path, '/')
	}
	return append(path, name...)
}

// name returns the next name of a folder.
func (w *walk) name(f *folder) (string, bool, error) {
	if f.fd < 0 && (len(f.names) > 0 || f.more) {
		return "", false, errMoved
	}
	if len(f.names) == 0 && f.more {
		w.held -= f.held
		if w.dirents == nil {
			w.dirents = make([]byte, direntBytes)
		}
		names, more, err := readNames(f.fd, f.from, w.room, w.dirents, w.bounds)
		if err != nil {
			return "", false, err
		}
		f.names, f.more, f.held = names, more, 0
		for _, n := range names {
			f.held += len(n) + nameCost
		}
		w.held += f.held
		if more {
			f.from = names[len(names)-1] + "\x00"
		}
	}
	if len(f.names) == 0 {
		return "", false, nil
	}
	return f.names[0], true, nil
}

// drop gives the names of a folder back that take too much room while others are
// looked at; the folder is read again afterwards.
func (w *walk) drop(f *folder, last string) {
	if w.held <= heldMost || len(f.names) == 0 {
		return
	}
	w.held -= f.held
	f.names, f.held, f.more, f.from = nil, 0, true, last+"\x00"
}

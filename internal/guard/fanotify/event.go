//go:build linux

package fanotify

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// event is one fanotify_event_metadata (fanotify(7)).
type event struct {
	mask uint64
	fd   int // -1 where there is none
	pid  int
}

const (
	eventSize = 24
	asked     = unix.FAN_OPEN_PERM | unix.FAN_OPEN_EXEC_PERM
)

var errEvent = errors.New("an event of fanotify that is not of version 3")

// nextEvent takes one event off the front of what was read.
func nextEvent(b []byte) (event, []byte, error) {
	if len(b) < eventSize {
		return event{}, nil, errEvent
	}
	size := binary.NativeEndian.Uint32(b)
	if size < eventSize || uint64(size) > uint64(len(b)) || b[4] != unix.FANOTIFY_METADATA_VERSION {
		return event{}, nil, errEvent
	}
	e := event{
		mask: binary.NativeEndian.Uint64(b[8:]),
		fd:   int(int32(binary.NativeEndian.Uint32(b[16:]))),
		pid:  int(int32(binary.NativeEndian.Uint32(b[20:]))),
	}
	return e, b[size:], nil
}

func (e event) isAsked() bool { return e.mask&asked != 0 }
func (e event) isExec() bool  { return e.mask&unix.FAN_OPEN_EXEC_PERM != 0 }

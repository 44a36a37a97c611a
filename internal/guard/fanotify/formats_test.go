//go:build linux

package fanotify

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestMountInfo(t *testing.T) {
	const line = `36 35 98:1 /mnt1 /mnt\0402\134x rw,noatime master:1 shared:2 - overlay /dev/root rw,lowerdir=/a:/b,upperdir=/u\054p,workdir=/w`
	m, err := parseMount([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	want := mountLine{id: 36, parent: 35, dev: 98<<32 | 1, root: "/mnt1", point: `/mnt 2\x`, kind: "overlay", options: `rw,lowerdir=/a:/b,upperdir=/u\054p,workdir=/w`}
	if diff := cmp.Diff(want, m, cmp.AllowUnexported(mountLine{})); diff != "" {
		t.Error(diff)
	}
	if upper := m.option("upperdir"); upper != "/u,p" {
		t.Errorf("upperdir %q", upper)
	}
	for _, bad := range []string{"", "36 35 98:1 / / rw", "x 35 98:1 / / rw - a b c", "36 35 98 / / rw - a b c", "36 35 98:1 / / rw - a"} {
		if _, err := parseMount([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func FuzzMountInfo(f *testing.F) {
	f.Add([]byte(`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`))
	f.Add([]byte(`36 35 98:0 / /\04 rw - fuse.x \ rw`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if m, err := parseMount(line); err == nil {
			if o := m.option("upperdir"); len(o) > len(line) {
				t.Errorf("an option of %d bytes out of %d", len(o), len(line))
			}
		}
	})
}

func TestMarksOfTheKernel(t *testing.T) {
	got, err := parseMarks(strings.NewReader(`pos:	0
flags:	02004002
fanotify flags:37 event-flags:c8000
fanotify ino:7 sdev:28 mflags:600 mask:0 ignored_mask:10000 fhandle-bytes:24 fhandle-type:f8 f_handle:00
fanotify mnt_id:1a mflags:0 mask:50000 ignored_mask:0
fanotify sdev:800028 mflags:0 mask:40000 ignored_mask:0
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[kernelKey]uint64{{mount: true, id: 0x1a}: 0x50000, {id: unix.Mkdev(8, 0x28)}: 0x40000}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(kernelKey{})); diff != "" {
		t.Error(diff)
	}
	if _, err := parseMarks(strings.NewReader("fanotify mnt_id:zz mask:1\n")); err == nil {
		t.Error("no error")
	}
}

func wireEvent(mask uint64, fd, pid int32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, eventSize)
	b = append(b, unix.FANOTIFY_METADATA_VERSION, 0, eventSize, 0)
	b = binary.NativeEndian.AppendUint64(b, mask)
	b = binary.NativeEndian.AppendUint32(b, uint32(fd))
	return binary.NativeEndian.AppendUint32(b, uint32(pid))
}

func TestEvents(t *testing.T) {
	data := append(wireEvent(unix.FAN_OPEN_PERM, 7, 42), wireEvent(unix.FAN_Q_OVERFLOW, -1, 0)...)
	first, rest, err := nextEvent(data)
	if err != nil || first != (event{mask: unix.FAN_OPEN_PERM, fd: 7, pid: 42}) || first.isExec() || !first.isAsked() {
		t.Errorf("%+v %v", first, err)
	}
	second, rest, err := nextEvent(rest)
	if err != nil || second.fd != -1 || len(rest) != 0 {
		t.Errorf("%+v %v", second, err)
	}
	for _, bad := range [][]byte{nil, data[:23], append([]byte{255}, data[1:]...), bytes.Replace(data, []byte{3}, []byte{4}, 1)} {
		if _, _, err := nextEvent(bad); err == nil {
			t.Errorf("% x: no error", bad)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add(wireEvent(unix.FAN_OPEN_EXEC_PERM, 3, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			_, rest, err := nextEvent(data)
			if err != nil {
				return
			}
			if len(rest) >= len(data) {
				t.Fatal("it does not get on")
			}
			data = rest
		}
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	c := cache[int]{half: 10}
	for i := range 1000 {
		c.put(Stamp{Ino: uint64(i)}, i)
		if v, ok := c.get(Stamp{Ino: uint64(i)}); !ok || v != i {
			t.Fatalf("%d: %d %v", i, v, ok)
		}
		// What is asked for all the time stays.
		if v, ok := c.get(Stamp{}); !ok || v != 0 {
			t.Fatalf("after %d the first is gone", i)
		}
	}
	if c.len() > 20 {
		t.Errorf("%d are kept", c.len())
	}
}

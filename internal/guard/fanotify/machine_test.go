//go:build linux

package fanotify

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What is mounted is known at once, and read no more often than it changes.
func TestMachineSystems(t *testing.T) {
	needRoot(t)
	m := machineSystems{info: -1}
	if err := m.open(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	systems := func() map[uint64]bool {
		t.Helper()
		all, err := m.now()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := systems()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			_ = unix.Unmount(dir, unix.MNT_DETACH) // the folder is to go
		}
	})
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	device := uint64(unix.Major(st.Dev))<<32 | uint64(unix.Minor(st.Dev))
	if before[device] || !systems()[device] {
		t.Errorf("device %#x: before it is mounted %t, then %t", device, before[device], systems()[device])
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	mounted = false
	if systems()[device] {
		t.Error("what was unmounted is still there")
	}
}

func TestDeviceOf(t *testing.T) {
	for line, want := range map[string]uint64{
		"36 35 98:3 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n": 98<<32 | 3,
		"1 1 0:1 / / rw - rootfs rootfs rw":                                1,
	} {
		if got, ok := deviceOf([]byte(line)); !ok || got != want {
			t.Errorf("%q has the device %#x, %t; want %#x", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "\n", "36 35", "36 35 98", "36 35 98: /", "36 35 x:1 /", "36 35 1:99999999999 /"} {
		if got, ok := deviceOf([]byte(line)); ok {
			t.Errorf("%q has the device %#x", line, got)
		}
	}
}

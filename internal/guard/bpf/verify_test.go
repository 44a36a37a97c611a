package bpf

import (
	"errors"
	"testing"
)

func TestVerified(t *testing.T) {
	l := openLayer(t, func(c *Config) { c.Stamps = 64 })
	has := func(s Stamp, want bool) {
		t.Helper()
		if got, err := l.Verified(1, s); err != nil || got != want {
			t.Errorf("Verified(%+v) = %v, %v, want %v", s, got, err, want)
		}
	}
	state := func(n int64) Stamp { return Stamp{Dev: 0x1234, Ino: 1, Size: 2, Mtime: -3, Ctime: n} }
	file := func(n uint64) Stamp { return Stamp{Dev: 0x1234, Ino: n, Ctime: 1} }

	if err := l.Verify(1, state(0)); !errors.Is(err, ErrUnwatched) {
		t.Errorf("Verify for nobody returned %v", err)
	}
	if err := l.Watch(1, Identity{}, Mode{}); err != nil {
		t.Fatal(err)
	}
	for n := range int64(200) { // a file that is touched again and again takes no room
		if err := l.Verify(1, state(n)); err != nil {
			t.Fatal(err)
		}
		has(state(n), true)
	}
	has(state(0), false)
	var err error
	for n := uint64(2); n < 200 && err == nil; n++ {
		err = l.Verify(1, file(n))
		has(file(n), err == nil)
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("too many files: %v", err)
	}
	has(state(199), true)
	if err := l.Forget(1); err != nil {
		t.Fatal(err)
	}
	has(state(199), false)
	if err := l.VerifyAll(1, []Stamp{file(2), file(3)}); err != nil {
		t.Fatal(err)
	}
	has(file(3), true)
	if err := l.Unwatch(1); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Verified(1, file(3)); !errors.Is(err, ErrUnwatched) {
		t.Errorf("Verified for nobody returned %v", err)
	}
	if _, err := l.Counters(1); !errors.Is(err, ErrUnwatched) {
		t.Errorf("Counters for nobody returned %v", err)
	}
}

func TestStampsTravel(t *testing.T) {
	for _, s := range []Stamp{{}, {Dev: 0xfe00, Ino: 1<<63 + 1, Size: 1 << 40, Mtime: -1, Ctime: 1}, {Dev: 0x12345678}} {
		if got := stampOf(s.toKernel()); got != s {
			t.Errorf("%+v became %+v", s, got)
		}
	}
}

//go:build linux

package fanotify

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// inNested executes a file of an overlay over the box's own root several times at once,
// by processes whose root it is, and returns how often it ran. The file lies in the
// box's writable layer: opening it there is asked about each time.
func inNested(t *testing.T, b *box, times int) (ran int, took time.Duration) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers of system calls are those of amd64")
	}
	const (
		unshare   = "syscall(272, 0x20000) == 0 or die;"
		runOthers = `
			chdir "/"; chroot "/tmp/m" or die;
			my $run = sub { my $pid = fork; if (!$pid) { exec $_[0]; exit 1 } $pid };
			waitpid $run->("./helper"), 0; # outside of it, so that somebody looks where that comes from
			waitpid $_, 0 for map { $run->("/copy") } 1..%d;`
	)
	begun := time.Now()
	out := b.run(order{Argv: []string{"/bin/perl", "-e", unshare + fmt.Sprintf(runOthers, times)}})
	t.Logf("%s %q", out.Failed, out.Output)
	return strings.Count(out.Output, "ran\n") - 1, time.Since(begun)
}

const nest = "cp /helper /copy; mkdir -p /tmp/u /tmp/w /tmp/m; mount -t overlay o -o lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w /tmp/m"

// To read an event of an overlay the kernel opens a file of the layers below. Where
// those are asked about as well, whoever reads waits for an answer of its own. A
// process whose root is such an overlay brings nobody there.
func TestAnOverlayForARoot(t *testing.T) {
	b := newBox(t)
	l, _ := start(t, nil, b)
	b.must(nest)
	if ran, took := inNested(t, b, 6); ran != 6 || took > 10*time.Second {
		t.Errorf("%d of 6 ran, after %v", ran, took)
	}
	if n := l.counts.stalls.Load(); n > 0 {
		t.Errorf("the loop stood still %d times", n)
	}
	b.must("/bin/true")
}

// Should that happen all the same, by a file system that nobody has thought of, each
// that waits for itself takes a thread, and the others answer.
func TestReadersThatWaitForThemselves(t *testing.T) {
	b := newBox(t)
	l, _ := start(t, func(cfg *Config, _ *court) { cfg.Bound = time.Second }, b)
	b.must(nest)
	info := l.spaces.of(l.table.subject(1))[0].info
	lines, _, err := readMounts(info, 100)
	i := slices.IndexFunc(lines, func(m mountLine) bool { return m.point == "/tmp/m" })
	if err != nil || i < 0 {
		t.Fatal(err, lines)
	}
	l.table.subject(1).root.Store(lines[i].dev) // as if it were the box's own
	if ran, took := inNested(t, b, 12); ran != 12 || took > 20*time.Second {
		t.Errorf("%d of 12 ran, after %v", ran, took)
	}
	if l.counts.stalls.Load() == 0 {
		t.Error("nobody has waited for himself")
	}
	b.must("/bin/true")
}

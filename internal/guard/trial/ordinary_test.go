package trial

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

const strict = "rules:\n  run-unknown: {others: allow, prod: block}\n  run-unjudged: {others: block}\n"

// Nothing ordinary is stopped, or told, where everything unknown is blocked.
func TestOrdinary(t *testing.T) {
	b := newBox(t)
	g := startGuard(t, strict)
	g.watches(b, touchstone.EffectBlock)
	for _, o := range []struct {
		name string
		line string // of the shell; it says "fine" in the end
	}{
		{"shell work", "for i in 1 2 3; do echo $i | grep $i | sed s/1/2/; done; ls -laR /etc >/tmp/list; find / -xdev -name '*.sh' | head -3; sort /tmp/list | uniq -c | wc -l"},
		{"touch", "touch /bin/known; /bin/known; [ $? = 42 ]"},
		{"chown", "chown 1000:1000 /bin/known; /bin/known; [ $? = 42 ]"},
		{"chmod", "chmod 700 /bin/known; /bin/known; [ $? = 42 ]"},
		{"copies", "for d in /tmp /shm /volume /var/tmp; do cp /bin/known $d/k || exit; $d/k; [ $? = 42 ] || exit; done"},
		{"renamed there and back", "mv /bin/known /tmp/there && /tmp/there; [ $? = 42 ] && mv /tmp/there /bin/known && /bin/known; [ $? = 42 ]"},
		{"hard link", "ln /bin/known /tmp/hard && /tmp/hard; [ $? = 42 ]"},
		{"symbolic links", "mkdir -p /tmp/bb && /bin/busybox --install -s /tmp/bb && /tmp/bb/true"},
		{"unpacked once more", "tar -c -C / bin/busybox lib/ld-musl-x86_64.so.1 | tar -x -C /tmp && /tmp/bin/busybox true"},
		{"written over with the same", "mkdir /tmp/same && cp /bin/busybox /tmp/same && cat /bin/busybox >/tmp/same/busybox && /tmp/same/busybox true"},
		{"another root", "mkdir -p /tmp/r/bin /tmp/r/lib && cp /bin/busybox /tmp/r/bin && cp /lib/ld-musl* /tmp/r/lib && chroot /tmp/r /bin/busybox true"},
		{"start-up script", "/opt/start.sh && sh /opt/start.sh && . /opt/start.sh"},
		{"start-up script elsewhere", "cp /opt/start.sh /tmp/s.sh && /tmp/s.sh && sh /tmp/s.sh"},
		{"interpreter with data", "seq 1000 >/tmp/data; awk '{n+=$1} END {print n}' /tmp/data; sh -c 'while read l; do n=$l; done <$1; echo $n' x /tmp/data"},
		{"interpreter, script and data", "sh /opt/start.sh /tmp/data && sed -n 1p /tmp/data"},
		{"here document", "cat <<X | wc -l\na\nX\ntrue"},
		{"package manager", "apk --version && apk info | wc -l && apk add --initdb -p /tmp/apk --no-network"},
		{"log rotation", "/actor rotate /var/log 50"},
		{"just-in-time compilers", "/actor jit /tmp && /actor jit /shm && /actor jit /volume"},
		{"data volume", "/actor files /volume/data 3000"},
		{"namespaces of its own", "/actor unshare /bin/known; [ $? = 42 ]"},
		{"another user", "/actor as 65534 /bin/busybox true"},
		{"mounts of its own", "/actor tmpfs /tmp/m && cp /bin/known /tmp/m && /tmp/m/known; [ $? = 42 ] && /actor overlay /bin /tmp/ov && /tmp/ov/merged/busybox true"},
		{"many at once", "for i in $(seq 100); do /bin/known & done; wait"},
	} {
		t.Run(o.name, func(t *testing.T) {
			if out := b.sh(o.line + " && echo fine"); !strings.HasSuffix(strings.TrimSpace(out.Output), "fine") {
				t.Errorf("%s", out)
			}
			if told := g.told(ofKind(b, touchstone.EventRunUnknown)); len(told) > 0 {
				t.Errorf("told: %s", g.all())
			}
		})
	}
}

// Where the rules allow it, what is not in the image runs, and nothing is told.
func TestAllowed(t *testing.T) {
	b := newBox(t)
	g := startGuard(t, "rules:\n  run-unknown: {others: allow}\n")
	g.watches(b, touchstone.EffectNone)
	for _, e := range evasions {
		if e = e.in("/tmp/" + strings.ReplaceAll(e.name, " ", "-")); strings.HasPrefix(e.name, "1 over") || strings.HasPrefix(e.name, "13 ") { // a race that may be lost
			continue
		}
		if !e.try(t, b) {
			t.Errorf("%s does not run", e.name)
		}
	}
	if told := g.told(ofKind(b, touchstone.EventRunUnknown)); len(told) > 0 {
		t.Errorf("told: %s", g.all())
	}
}

// Where the rules alert, it runs and is told.
func TestAlerted(t *testing.T) {
	for name, layers := range map[string][]string{"fanotify": {"bpf"}, "bpf": {"fanotify"}, "both": nil} {
		t.Run(name, func(t *testing.T) {
			b := newSmallBox(t)
			g := startGuard(t, "rules:\n  run-unknown: {others: alert}\n", without(layers...))
			g.watches(b, touchstone.EffectAlert)
			if o := b.do("/volume/unknown"); o.Code != ranUnknown {
				t.Errorf("%s", o)
			}
			e := g.await("an alert", ofRun(b, "volume/unknown"))
			if e.Action != touchstone.EffectAlert || !has(e.Steps, touchstone.DeedTold, "") || name != "bpf" && !e.Execution.SHA256.Valid() { // it may have ended before it could be read
				t.Errorf("%+v", e)
			}
		})
	}
}

// What a container runs first may be over before the guard hears of the container: it
// is written down how often. What is in the image is never stopped, and what is not is
// as soon as the container is watched.
func TestFirstAct(t *testing.T) {
	needNode(t)
	for name, layers := range map[string][]string{"fanotify": {"bpf"}, "bpf": {"fanotify"}, "both": nil} {
		t.Run(name, func(t *testing.T) {
			g := startGuard(t, strict, without(layers...))
			within(t, 10*time.Second, "what runs is known", func() bool { return len(g.status().Problems) <= len(layers) })
			const tries = 3
			ran := 0
			for range tries {
				b := startBox(t, imageActor, nil, "/volume/unknown")
				if strings.Contains(readWhole(t, filepath.Join(b.folder, "first")), `"Code":83`) {
					ran++
				}
				g.watches(b, touchstone.EffectBlock)
				if o := b.do("/volume/unknown"); o.Code == ranUnknown {
					t.Errorf("once it is watched: %s", o)
				}
				if o := b.do("/bin/known"); o.Code != knownRan {
					t.Errorf("what is in the image: %s", o)
				}
			}
			t.Logf("the first program ran in %d of %d containers", ran, tries)
		})
	}
}

// Containers that start while the guard starts, and many at once, are watched, and
// nothing of theirs is stopped.
func TestManyStart(t *testing.T) {
	needNode(t)
	const many = 50
	list := make([]*box, many)
	var group sync.WaitGroup
	room := make(chan struct{}, 4)
	for i := range list {
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			list[i] = startBox(t, imageActor, nil, "/bin/known")
		})
	}
	g := startGuard(t, strict)
	group.Wait()
	begun := time.Now()
	for _, b := range list {
		g.watches(b, touchstone.EffectBlock)
	}
	t.Logf("the last of %d was known %s after it took orders", many, time.Since(begun))
	for _, b := range list {
		if text := readWhole(t, filepath.Join(b.folder, "first")); !strings.Contains(text, `"Code":42`) {
			t.Errorf("%s: its first program: %s", b.id, text)
		}
		group.Go(func() {
			if o := b.do("/bin/known"); o.Code != knownRan {
				t.Errorf("%s: known: %s", b.id, o)
			}
			if o := b.do("/volume/unknown"); o.Code == ranUnknown {
				t.Errorf("%s: unknown: %s", b.id, o)
			}
		})
	}
	group.Wait()
	for _, b := range list {
		g.await("it was stopped", ofRun(b, "volume/unknown"))
	}
	if told := g.told(func(e *touchstone.RuntimeEvent) bool {
		return e.Kind == touchstone.EventRunUnknown && !strings.HasSuffix(e.Execution.Path, "unknown")
	}); len(told) > 0 {
		t.Errorf("told: %s", g.all())
	}
}

//go:build linux

package fanotify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// evil makes /tmp/evil, /vol/evil and so on: programs that say "ran" and are in no image.
const evil = "cp /helper %[1]s && echo >> %[1]s && "

func TestEvasions(t *testing.T) {
	b := newBox(t)
	tests := []struct {
		name string
		run  string // prints "ran" unguarded
		want []string
	}{
		{"1 a program that is dropped", fmt.Sprintf(evil, "/evil") + "/evil", []string{"program /evil"}},
		{"1 of the size of an image's", "cp /helper /evil-same && printf x | dd of=/evil-same bs=1 seek=500 conv=notrunc 2>/dev/null; cp /helper /evil-same; printf x >> /evil-same; /evil-same", []string{"program /evil-same"}},
		{"1 by descriptor", fmt.Sprintf(evil, "/evil-fd") + "/helper fexec /evil-fd", []string{"program /evil-fd"}},
		{"3 from tmpfs", fmt.Sprintf(evil, "/tmp/evil") + "/tmp/evil", []string{"program /tmp/evil"}},
		{"3 from /dev/shm", fmt.Sprintf(evil, "/dev/shm/evil") + "/dev/shm/evil", []string{"program /dev/shm/evil"}},
		{"3 from /dev", fmt.Sprintf(evil, "/dev/evil") + "/dev/evil", []string{"program /dev/evil"}},
		{"3 from a volume", fmt.Sprintf(evil, "/vol/evil") + "/vol/evil", []string{"program /vol/evil"}},
		{"5 unlinked", fmt.Sprintf(evil, "/evil-gone") + "/helper unlinked /evil-gone", []string{"memory /evil-gone (deleted)"}},
		{"5 unlinked, of the image's content", "cp /helper /tmp/evil-copy; /helper unlinked /tmp/evil-copy", []string{"memory /tmp/evil-copy (deleted)"}},
		{"6 a folder of the overlay mounted elsewhere", "mkdir -p /a /b; " + fmt.Sprintf(evil, "/a/evil") + "mount --bind /a /b; /b/evil", []string{"program /b/evil"}},
		{"6 a mount namespace of its own", fmt.Sprintf(evil, "/vol/evil-ns") + "unshare -m /bin/bash -c /vol/evil-ns", []string{"program /vol/evil-ns"}},
		{"7 given to ld.so", fmt.Sprintf(evil, "/vol/evil") + "for l in /lib64/ld-linux-*; do $l /vol/evil; done; for l in /bin/l[d]*; do :; done", []string{"library /vol/evil"}},
		{"8 a script", "printf '#!/bin/bash\\necho ran\\n' > /x.sh; chmod +x /x.sh; /x.sh", []string{"script /x.sh"}},
		{"8 a script on tmpfs", "printf '#!/bin/bash\\necho ran\\n' > /tmp/x.sh; chmod +x /tmp/x.sh; /tmp/x.sh", []string{"script /tmp/x.sh"}},
		{"9 bash", "echo echo ran > /y.sh; bash /y.sh", []string{"script /y.sh"}},
		{"9 bash on a volume, from its folder", "echo echo ran > /vol/y.sh; cd /vol; bash -e y.sh", []string{"script /vol/y.sh"}},
		{"9 through a link", "echo echo ran > /vol/z.sh; ln -sf /vol/z.sh /tmp/link; bash /tmp/link", []string{"script /vol/z.sh"}},
		{"9 by a descriptor", "echo echo ran > /vol/z.sh; bash /dev/fd/3 3</vol/z.sh", []string{"script /vol/z.sh"}},
		{"9 perl", "echo 'print \"ran\\n\"' > /tmp/x.pl; perl -w /tmp/x.pl", []string{"script /tmp/x.pl"}},
		{"9 awk", "echo 'BEGIN { print \"ran\" }' > /tmp/x.awk; mawk -f /tmp/x.awk", []string{"script /tmp/x.awk"}},
		{"9 BASH_ENV", "echo echo ran > /vol/env; BASH_ENV=/vol/env bash -c :", []string{"script /vol/env"}},
	}
	for _, test := range tests {
		if out := b.sh(test.run); !strings.Contains(out.Output, "ran") {
			t.Errorf("%s: it does not even run unguarded: %s %s", test.name, out.Failed, out.Output)
		}
	}
	l, c := start(t, nil, b)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.asked()
			out := b.sh(test.run)
			unknown, unjudged := c.asked()
			if strings.Contains(out.Output, "ran\n") {
				t.Errorf("it ran: %s", out.Output)
			}
			if diff := cmp.Diff(test.want, kinds(unknown)); diff != "" {
				t.Errorf("what was unknown (-want +got):\n%s%s", diff, out.Output)
			}
			if len(unjudged) > 0 {
				t.Errorf("unjudged: %+v", unjudged)
			}
		})
	}
	if s, err := l.Status(); err != nil || s.Counts.Denied == 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
}

func TestOrdinaryThings(t *testing.T) {
	b := newBox(t)
	l, c := start(t, nil, b)
	b.must("echo 1 > /vol/data.csv; echo 2 >> /vol/data.csv; cp /helper /data/blob; echo >> /data/blob")
	tests := []struct{ name, run, want string }{
		{"a program of the image", "/helper", "ran\n"},
		{"touched", "touch /bin/true; /bin/true && echo ok", "ok\n"},
		{"changed owner", "chown 1:1 /helper; /helper", "ran\n"},
		{"changed mode", "chmod 700 /helper; /helper", "ran\n"},
		{"moved", "cp /bin/ls /bin/ls2; mv /bin/ls2 /moved; /moved /bin/bash", "/bin/bash\n"},
		{"a hard link", "ln /bin/ls /linked; /linked /bin/bash", "/bin/bash\n"},
		{"a copy on a volume", "cp /helper /vol/copy; /vol/copy", "ran\n"},
		{"a copy on tmpfs, twice", "cp /helper /tmp/copy; /tmp/copy; /tmp/copy", "ran\nran\n"},
		{"a script of the image", "/bin/start.sh now", "started now\n"},
		{"a script of the image, touched", "touch /bin/start.sh; /bin/start.sh now; bash /bin/start.sh then", "started now\nstarted then\n"},
		{"a script of the image that is not executable", "chmod 644 /data/notes.sh; bash /data/notes.sh", "from the image\n"},
		{"data of a perl script", "perl /bin/sum.pl /vol/data.csv", "4\n"},
		{"data of an awk script", "mawk -f /bin/prog.awk /vol/data.csv", "2\n"},
		{"data of an awk program", "mawk '{ print }' /vol/data.csv", "1\n2\n"},
		{"data of bash", "while read x; do echo $x; done < /vol/data.csv", "1\n2\n"},
		{"an unknown program as data", "cat /data/blob > /dev/null; cp /data/blob /vol/blob; echo ok", "ok\n"},
		{"log rotation", "echo a >> /vol/log; mv /vol/log /vol/log.1; echo b >> /vol/log; cat /vol/log /vol/log.1; rm /vol/log.1", "b\na\n"},
		{"memory that is written and executed", "/helper jit", "ran\n"},
		{"preloading what the image has", "for l in /lib/x86_64-linux-gnu/libc.so.6 /lib/aarch64-linux-gnu/libc.so.6; do [ -e $l ] && LD_PRELOAD=$l /bin/true; done; echo ok", "ok\n"},
		{"many files, as a package manager writes them", "mkdir -p /pkg; for i in 1 2 3 4 5 6 7 8 9; do cp /bin/cat /pkg/$i.new; mv /pkg/$i.new /pkg/$i; chmod 755 /pkg/$i; done; cat /pkg/9 > /dev/null; echo ok", "ok\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := b.sh(test.run)
			if out.Failed != "" || out.Output != test.want {
				t.Errorf("got %q (%s), want %q", out.Output, out.Failed, test.want)
			}
			unknown, unjudged := c.asked()
			if len(unknown)+len(unjudged) > 0 {
				t.Errorf("asked about %q, unjudged %+v", kinds(unknown), unjudged)
			}
		})
	}
	_ = l
}

package session

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// watch looks at every process until the wanted is told, and returns it.
func watch(t *testing.T, tracker *Tracker, seen *[]Event, is func(Event) bool) Event {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s, err := Proc{}.All(time.Now(), Snapshot{})
		if err != nil {
			t.Fatal(err)
		}
		*seen = append(*seen, tracker.Resync(s)...)
		if i := slices.IndexFunc(*seen, is); i >= 0 {
			return (*seen)[i]
		}
	}
	t.Fatalf("not told; told was %+v", *seen)
	return Event{}
}

func needRoot(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may do this: entering namespaces, and serving SSH")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed; as root, .ci/prepare installs what Debian has", p)
		}
	}
}

// start runs a command that ends with the test, and all that it has made.
func start(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		_ = cmd.Wait()
	})
	return cmd
}

// childOf waits for a process to have one child that runs the program.
func childOf(t *testing.T, pid int, program string) Process {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		for _, word := range strings.Fields(string(text)) {
			child, _ := strconv.Atoi(word)
			if p, ok := (Proc{}).Look(child); ok && p.program() == program {
				return p
			}
		}
	}
	t.Fatalf("process %d has no child %s", pid, program)
	return Process{}
}

// nsenter into real namespaces is seen, whatever it enters.
func TestNsenter(t *testing.T) {
	needRoot(t, "unshare", "nsenter", "sleep")
	container := childOf(t, start(t, "unshare", "--fork", "--pid", "unshare", "--mount", "--mount-proc", "sleep", "1000").Process.Pid, "sleep")
	if container.InnerPID != 1 {
		t.Fatalf("the first process is %+v", container)
	}
	sleep := container.Path
	for _, flags := range [][]string{{"-m", "-p"}, {"-m"}, {"-p"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			tracker := New(Config{Look: Proc{}})
			var seen []Event
			seen = append(seen, tracker.Add(Subject{
				ID: web, Init: Process{PID: container.PID, Start: container.Start},
				PIDNamespace: container.PIDNamespace, MountNamespace: container.MountNamespace,
			}, time.Now())...)
			if len(seen) != 0 {
				t.Errorf("told %+v", seen)
			}
			entry := start(t, "nsenter", slices.Concat([]string{"-t", strconv.Itoa(container.PID)}, flags, []string{"sh", "-c", "sleep 1001; true"})...)
			began := watch(t, tracker, &seen, func(e Event) bool { return e.Kind == EventStarted })
			s := began.Session
			// A look may catch nsenter itself when it has entered and executed nothing yet.
			if s.Kind != "nsenter" || s.Subject != web || s.Command[len(s.Command)-1] != "sleep 1001; true" || !s.Found {
				t.Errorf("told %+v", s)
			}
			watch(t, tracker, &seen, func(e Event) bool { return e.Kind == EventGrew && e.Process.Path == sleep })
			_ = unix.Kill(-entry.Process.Pid, unix.SIGKILL)
			for _, m := range tracker.Members(s.ID) {
				_ = unix.Kill(m.PID, unix.SIGKILL)
			}
			_ = entry.Wait()
			watch(t, tracker, &seen, func(e Event) bool { return e.Kind == EventEnded && e.Session.ID == s.ID })
		})
	}
}

// A login through a real sshd on the loopback: with a command, with a terminal,
// and without either.
func TestSSH(t *testing.T) {
	needRoot(t, "ssh", "ssh-keygen", "/usr/sbin/sshd")
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	config := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s/host\nAuthorizedKeysFile %[2]s/user.pub\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nPidFile none\nPrintMotd no\n", port, dir)
	if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where Debian's sshd locks itself in
		t.Fatal(err)
	}
	start(t, "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, way := range []struct {
		name     string
		flags    []string
		command  []string
		terminal bool
		want     string // in the session's command
	}{
		{"a command", nil, []string{"sleep 1002; true"}, false, "sleep 1002; true"},
		{"a terminal", []string{"-tt"}, []string{"sleep 1003; true"}, true, "sleep 1003; true"},
		{"no command", []string{"-N"}, nil, false, ""},
	} {
		t.Run(way.name, func(t *testing.T) {
			tracker := New(Config{Host: theHost, Look: Proc{}})
			args := slices.Concat([]string{"-i", filepath.Join(dir, "user"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-p", port}, way.flags,
				[]string{me.Username + "@127.0.0.1"}, way.command)
			client := start(t, "ssh", args...)
			var seen []Event
			s := watch(t, tracker, &seen, func(e Event) bool {
				return (e.Kind == EventStarted || e.Kind == EventKnown) && e.Session.Kind == "ssh" && strings.HasPrefix(e.Session.From, "127.0.0.1:") &&
					strings.Contains(strings.Join(e.Session.Command, " "), way.want) && (way.want != "" || len(e.Session.Command) == 0)
			}).Session
			if s.By != me.Username || s.Subject != theHost || (s.TTY != "") != way.terminal {
				t.Errorf("told %+v", s)
			}
			_ = client.Process.Kill()
			for _, m := range tracker.Members(s.ID) {
				_ = unix.Kill(m.PID, unix.SIGKILL)
			}
			watch(t, tracker, &seen, func(e Event) bool { return e.Kind == EventEnded && e.Session.ID == s.ID })
		})
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestAddresses(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1
   1: 0100007F:0016 070200C0:C738 01 00000000:00000000 02:0009C8C5 00000000     0        0 12 2
   2: 00000000000000000000000001000000:0016 B80D01200000000000000000010000FF:1F90 01 0:0 0:0 0 0 0 13 2
   3: 0000000000000000FFFF00000100007F:0016 0000000000000000FFFF0000070200C0:0001 01 0:0 0:0 0 0 0 14 2
nonsense
`
	for inode, want := range map[string]string{"11": "", "12": "192.0.2.7:51000", "13": "[2001:db8::ff00:1]:8080", "14": "192.0.2.7:1", "99": ""} {
		if got := peerIn(strings.NewReader(table), map[string]bool{inode: true}); got != want {
			t.Errorf("socket %s: %q, want %q", inode, got, want)
		}
	}
}

// A process is its control group's, in whatever hierarchy that lies.
func TestSubjectOfGroup(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "7"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stat":   "7 (work) S 1 7 7 34817 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0",
		"cgroup": "5:cpu:/\n4:memory:/kubepods/pod1/a:b\n0::/else\n",
	} {
		if err := os.WriteFile(filepath.Join(root, "7", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var asked []string
	r := Proc{Root: root, Subject: func(group string) uint64 {
		asked = append(asked, group)
		if group == "/kubepods/pod1/a:b" {
			return web
		}
		return 0
	}}
	p, ok := r.Look(7)
	if !ok || p.Subject != web || p.Start != 4711 || p.TTY != "pts/1" || p.Comm != "work" || !slices.Equal(asked, []string{"/kubepods/pod1/a:b"}) {
		t.Errorf("%+v, asked for %q", p, asked)
	}
}

func TestTitles(t *testing.T) {
	for text, want := range map[string]title{
		"sshd: alice@pts/0":                    {user: "alice", where: "pts/0"},
		"sshd: alice":                          {user: "alice"},
		"sshd-session: bob@notty":              {user: "bob", where: "notty"},
		"sshd: alice [priv]":                   {user: "alice", between: true},
		"sshd: [accepted]":                     {user: "accepted]", between: true},
		"sshd: /usr/sbin/sshd -D [listener] 0": {user: "/usr/sbin/sshd -D", between: true},
		"bash: alice@pts/0":                    {},
		"":                                     {},
	} {
		got, ok := titleOf([]string{text})
		if got != want || ok != (want != title{}) {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("1 (a) b) c) S 0 1 1 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1 2"), "0100007F:0016", "sshd: a@b [")
	f.Fuzz(func(t *testing.T, stat []byte, address, text string) {
		var p Process
		_ = parseStat(stat, &p)
		_, _ = addressOf(address)
		_, _ = titleOf([]string{text})
		_ = peerIn(strings.NewReader(text), map[string]bool{"1": true})
		_ = (&Process{Path: text, Comm: address, Command: []string{text}}).program()
	})
}

func BenchmarkLook(b *testing.B) {
	for b.Loop() {
		if _, ok := (Proc{}).Look(os.Getpid()); !ok {
			b.Fatal("it is not there")
		}
	}
}

// What was read before is read again where it can have changed.
func TestProcAgain(t *testing.T) {
	known := uint64(0)
	proc := Proc{Subject: func(string) uint64 { return known }}
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = command.Process.Kill() // it may have ended
			_ = command.Wait()
		}
	})
	find := func(before Snapshot) (Snapshot, *Process) {
		t.Helper()
		all, err := proc.All(time.Now(), before)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all.Processes {
			if all.Processes[i].PID == command.Process.Pid {
				return all, &all.Processes[i]
			}
		}
		return all, nil
	}
	// It has become sleep once it is seen so: what was read first may be older.
	deadline := time.Now().Add(10 * time.Second)
	first, p := find(Snapshot{})
	for ; p == nil || p.program() != "sleep"; first, p = find(first) {
		if time.Now().After(deadline) {
			t.Fatalf("it became %+v", p)
		}
	}
	fresh, ok := proc.Look(p.PID)
	if diff := cmp.Diff(fresh, *p); !ok || diff != "" {
		t.Errorf("read again (- at once, + after it was read before):\n%s", diff)
	}
	known = 7 // its group was nobody's before
	if _, p = find(first); p == nil || p.Subject != 7 {
		t.Errorf("its group belongs to 7, not to %+v", p)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // it was killed
	ended = true
	if _, p = find(first); p != nil {
		t.Errorf("what has ended is %+v", p)
	}
}

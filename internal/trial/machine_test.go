package trial

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// mostMemory is what judging a whole machine may take at most, in KiB of
// anonymous memory: as much as an image of 3 million files.
const mostMemory = 400 << 10

// The machine that runs the tests is judged as a whole, within memory, and holds
// the packages that its own dpkg lists.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: reading the whole machine takes minutes")
	}
	needRoot(t, "reading every file of this machine")
	need(t, "dpkg-query")
	m := newMachine(t, filepath.Join("testdata", "osv"))
	c := command(t, "touchstone", m.arguments([]string{"check", "dir:/", "--env", "dev", "-o", "json"})...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	most := peak(c.Process.Pid, ended)
	if code := c.ProcessState.ExitCode(); code != 0 && code != 1 { // it is somebody else's machine: its verdict is theirs
		t.Fatalf("exit code %d\n%s", code, stderr.Bytes())
	}
	if most == 0 || most > mostMemory {
		t.Errorf("%d KiB of anonymous memory, at most %d are allowed", most, mostMemory)
	}
	var doc touchstone.Check
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d MB, %d packages, %d gaps, %d MiB of memory", doc.Manifest.Files, doc.Manifest.Bytes>>20, len(doc.Packages), len(doc.Gaps), most>>10)
	if diff := cmp.Diff(dpkgQuery(t, "/"), fromDpkg(doc.Packages), inAnyOrder()); diff != "" {
		t.Errorf("packages (- dpkg-query, + touchstone):\n%s", diff)
	}
}

// peak watches the anonymous memory of a process, in KiB, until it has ended.
func peak(pid int, ended <-chan error) int {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	most := 0
	for {
		select {
		case <-ended:
			return most
		case <-tick.C:
			most = max(most, anonymous(pid))
		}
	}
}

// anonymous is RssAnon of a process in KiB (proc_pid_status(5)); 0 once it has
// ended.
func anonymous(pid int) int {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
			n, _ := strconv.Atoi(f[1]) // the kernel writes a number
			return n
		}
	}
	return 0
}

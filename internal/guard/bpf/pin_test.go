package bpf

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// actLayer opens a layer and waits to be killed.
func actLayer(args []string) error {
	l, err := Open(Config{Folder: args[0], Mappings: true, Stamps: 1024})
	if err != nil {
		return err
	}
	defer l.Close()
	os.Stdout.WriteString("open\n")
	os.Stdin.Read(make([]byte, 1))
	return errors.New("it was not killed")
}

func startGuard(t *testing.T, folder string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, actorFlag, "layer", folder)
	command.Stderr = os.Stderr
	if _, err := command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	answer := make([]byte, 5)
	if _, err := out.Read(answer); err != nil || string(answer) != "open\n" {
		t.Fatal("the other guard did not open the layer")
	}
	return command
}

// Enforcement goes on when the guard is killed, and while the next one takes over:
// another version of the programs too.
func TestKilledAndTakenOver(t *testing.T) {
	needKernel(t)
	l := openLayer(t, nil)
	folder := l.config.Folder
	var next *Layer
	t.Cleanup(func() { next.Close() }) // when the container is gone
	c := watched(t, l, strict)
	c.put("/tmp/x")
	before, err := l.Watched()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	if got := c.run("/tmp/x"); got.Signal != unix.SIGKILL {
		t.Errorf("without a guard, it ended with %+v", got)
	}
	each := stormEach(t)
	all := stormWorkers * each
	result := make(chan [2]int)
	go func() {
		ran, killed := c.storm(each, "/tmp/x")
		result <- [2]int{ran, killed}
	}()
	for i := range 4 {
		other := startGuard(t, folder)
		if _, err := Open(Config{Folder: folder}); !errors.Is(err, ErrHeld) {
			t.Errorf("a second guard's Open returned %v", err)
		}
		other.Process.Kill()
		other.Wait()
		if i%2 == 1 {
			rename(t, folder) // now they look like another version's
		}
	}
	if next, err = Open(Config{Folder: folder, Mappings: true, Stamps: 1024}); err != nil {
		t.Fatal(err)
	}
	if got := <-result; got != [2]int{0, all} {
		t.Errorf("%d ran and %d were killed of %d", got[0], got[1], all)
	}
	c.layer = next
	after, err := next.Watched()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
	status, err := next.Status()
	if err != nil || len(status.Missing) > 0 || len(status.Attached) != len(hooks())+1 || !status.Mappings {
		t.Errorf("the status is %+v, %v", status, err)
	}
	n := c.counters()
	if n.Killed < uint64(all)+1 {
		t.Errorf("counted %+v", n)
	}
	t.Logf("of %d, %d were counted twice while programs changed", all+1, n.Killed-uint64(all)-1)
}

// rename gives the pinned programs the name of another version.
func rename(t *testing.T, folder string) {
	t.Helper()
	config, err := Config{Folder: folder, Stamps: 1024}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := loadKernel()
	if err != nil {
		t.Fatal(err)
	}
	if err := size(spec, config); err != nil {
		t.Fatal(err)
	}
	l := Layer{folder: folder + "/" + layoutOf(spec)}
	present, err := l.generations()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range present {
		if err := os.Rename(p.folder, strings.Replace(p.folder, version(), "other", 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotAttachedIsSaid(t *testing.T) {
	l := openLayer(t, nil)
	if err := os.Remove(l.programs.folder + "/links/" + kernelProgOnExec); err != nil {
		t.Fatal(err)
	}
	if err := l.SetMappings(false); err != nil {
		t.Fatal(err)
	}
	s, err := l.Status()
	if err != nil || s.Mappings {
		t.Errorf("the status is %+v, %v", s, err)
	}
	if diff := cmp.Diff([]string{kernelProgOnExec}, s.Missing); diff != "" {
		t.Error(diff)
	}
	if err := l.SetMappings(true); err != nil {
		t.Fatal(err)
	}
	if s, err = l.Status(); err != nil || !s.Mappings {
		t.Errorf("the status is %+v, %v", s, err)
	}
	l.Close()
	next, err := Open(l.config)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = next.Status(); err != nil || len(s.Missing) > 0 || !s.Mappings {
		t.Errorf("after another start, the status is %+v, %v", s, err)
	}
	next.Close()
}

func TestAnotherLayoutGoesOnBesideUntilSettled(t *testing.T) {
	l := openLayer(t, nil)
	var next *Layer
	t.Cleanup(func() { next.Close() })
	c := watched(t, l, strict)
	c.put("/tmp/x")
	l.Close()
	config := l.config
	config.Stamps = 2048
	var err error
	next, err = Open(config)
	if err != nil {
		t.Fatal(err)
	}
	c.layer = next
	if got := c.run("/tmp/x"); got.Signal != unix.SIGKILL {
		t.Errorf("in between, it ended with %+v", got)
	}
	if all, err := next.Watched(); err != nil || len(all) > 0 {
		t.Errorf("what is watched came over: %+v, %v", all, err)
	}
	if err := next.Settle(); err != nil {
		t.Fatal(err)
	}
	// The kernel takes down what is unpinned a little later.
	if err := poll(func() bool { return c.run("/tmp/x").Code == 42 }); err != nil {
		t.Error("afterwards, unwatched, it did not run: ", err)
	}
}

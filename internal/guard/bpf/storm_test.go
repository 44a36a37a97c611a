package bpf

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

const stormWorkers = 8

// stormEach is how often each worker executes the file: 12500 make the hundred
// thousand of the figures, which TOUCHSTONE_STORM=12500 gives.
func stormEach(t testing.TB) int {
	t.Helper()
	n := os.Getenv("TOUCHSTONE_STORM")
	if n == "" {
		return 500
	}
	each, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	return each
}

// storm runs the file in a container, again and again.
func (c *container) storm(each int, args ...string) (ran, killed int) {
	c.t.Helper()
	got := c.act(append([]string{"storm", strconv.Itoa(stormWorkers), strconv.Itoa(each)}, args...)...)
	var other int
	if _, err := fmt.Sscan(got.Output, &ran, &killed, &other); err != nil || other > 0 {
		c.t.Fatalf("the storm ended with %+v", got)
	}
	return ran, killed
}

func TestStorm(t *testing.T) {
	l := openLayer(t, func(c *Config) { c.Rate, c.Burst = 200, 400 })
	h := listen(t, l)
	c := watched(t, l, strict)
	other := watched(t, l, strict)
	c.put("/tmp/x")
	other.put("/tmp/y")
	done := make(chan outcome)
	go func() { done <- other.run("/tmp/y") }()
	each := stormEach(t)
	ran, killed := c.storm(each, "/tmp/x")
	all := stormWorkers * each
	if ran != 0 || killed != all {
		t.Errorf("%d ran and %d were killed of %d", ran, killed, all)
	}
	n := c.counters()
	if n.Killed != uint64(all) || n.Unverified != uint64(all) || n.LostVerdicts == 0 {
		t.Errorf("counted %+v", n)
	}
	if err := poll(func() bool { return uint64(len(h.of(c.id)))+n.LostVerdicts == uint64(all) }); err != nil {
		t.Errorf("told of %d, lost %d, of %d", len(h.of(c.id)), n.LostVerdicts, all)
	}
	// The other's single event is there, whatever the first one made.
	if got := <-done; got.Signal != unix.SIGKILL {
		t.Errorf("the other ended with %+v", got)
	}
	h.wait(other.id, is(Killed))
	if n := other.counters(); n.LostVerdicts != 0 {
		t.Errorf("the other lost events: %+v", n)
	}
}

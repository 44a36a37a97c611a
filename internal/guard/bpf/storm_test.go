package bpf

import (
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	stormWorkers = 8
	stormEach    = 500
)

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
	ran, killed := c.storm(stormEach, "/tmp/x")
	const all = stormWorkers * stormEach
	if ran != 0 || killed != all {
		t.Errorf("%d ran and %d were killed of %d", ran, killed, all)
	}
	n := c.counters()
	if n.Killed != all || n.Unverified != all || n.LostVerdicts == 0 {
		t.Errorf("counted %+v", n)
	}
	if err := poll(func() bool { return uint64(len(h.of(c.id)))+n.LostVerdicts == all }); err != nil {
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

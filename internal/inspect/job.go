package inspect

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/packages"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/inspect/surface"
)

const (
	// maxInMemory is the size above which a file lies in a temporary file while
	// readers look at it.
	maxInMemory = 8 << 20
	// A file that is neither a binary nor an archive and not larger than
	// deferBytes is read when its layer has ended, so that a reader finds the
	// files beside it whatever their order; as long as no more than maxDeferred
	// bytes wait.
	deferBytes  = 4 << 20
	maxDeferred = 8 << 20
)

// job is one file for its readers.
type job struct {
	path   string
	number int
	info   fs.FileInfo
	size   int64
	wants  wants
	facts  surface.Facts

	memory []byte   // the content, or
	file   *os.File // the content of a large one
	cost   int64    // what it takes of the budget for held bytes
}

// content is how readers see the file.
func (j *job) content() packages.Content {
	if j.file != nil {
		return io.NewSectionReader(j.file, 0, j.size)
	}
	return bytes.NewReader(j.memory)
}

// take holds the content of a file, whose head was read already, hashing it on
// the way, and has it read.
func (s *scanner) take(j *job, head []byte, content io.Reader) error {
	s.mu.Lock()
	s.latest[j.path] = j.number
	s.mu.Unlock()
	if !j.wants.any() { // a script: its head said all
		s.keepFacts(j)
		return s.skim(content, j.size-int64(len(head)))
	}
	if j.size > s.in.config.Limits.FileBytes {
		s.addf(touchstone.GapLimit, j.path, "inspect", "its %d bytes are more than the %d that are handed to a reader", j.size, s.in.config.Limits.FileBytes)
		s.keepFacts(j)
		return s.skim(content, j.size-int64(len(head)))
	}
	j.cost = min(capacity(int(min(j.size, maxInMemory))), maxInMemory)
	if err := s.in.held.Acquire(s.ctx, j.cost); err != nil {
		return err
	}
	if err := s.hold(j, head, content); err != nil {
		s.in.drop(j)
		return err
	}
	if j.wants.keep {
		s.keep(j)
	}
	if s.later(j, head) {
		return nil
	}
	s.start(j)
	return nil
}

// hold reads the rest of the content to memory or to a temporary file.
func (s *scanner) hold(j *job, head []byte, content io.Reader) error {
	if j.size <= maxInMemory {
		j.memory = s.in.buffers.get(int(j.size))
		n := copy(j.memory, head)
		if _, err := io.ReadFull(content, j.memory[n:]); err != nil {
			return err
		}
		s.hash.Write(j.memory[n:])
		return nil
	}
	f, err := s.in.scratch.file()
	if err != nil {
		return err
	}
	j.file = f
	if _, err := f.Write(head); err != nil {
		return outside(fmt.Errorf("writing a temporary file: %w", err))
	}
	for left := j.size - int64(len(head)); left > 0; {
		p := s.copy[:min(left, int64(len(s.copy)))]
		if _, err := io.ReadFull(content, p); err != nil {
			return err
		}
		s.hash.Write(p)
		if _, err := f.Write(p); err != nil {
			return outside(fmt.Errorf("writing a temporary file: %w\nhint: TMPDIR names the folder they lie in", err))
		}
		left -= int64(len(p))
	}
	return nil
}

// drop gives back what a job holds.
func (in *Inspector) drop(j *job) {
	if j.memory != nil {
		in.buffers.put(j.memory)
	}
	if j.file != nil {
		_ = j.file.Close() // unlinked: nothing is left
	}
	in.held.Release(j.cost)
}

// later puts the job off to the end of the layer where that is right.
func (c *collector) later(j *job, head []byte) bool {
	if !j.wants.packages || j.size > deferBytes || binary(head) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting+capacity(int(j.size)) > maxDeferred {
		return false
	}
	// What waits must not starve what is read now, also not in other layers.
	c.in.held.Release(j.cost)
	j.cost = 0
	c.waiting += capacity(int(j.size))
	c.deferred = append(c.deferred, j)
	return true
}

// binary reports whether the file is an executable or an archive.
func binary(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "PK\x03\x04", "MZ", "\xfe\xed\xfa", "\xcf\xfa\xed\xfe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// start has the job read beside what goes on.
func (c *collector) start(j *job) {
	c.jobs.Add(1)
	go func() {
		defer c.jobs.Done()
		if err := c.in.running.Acquire(c.ctx, 1); err != nil {
			c.in.drop(j)
			c.fail(err)
			return
		}
		defer c.in.running.Release(1)
		c.read(j)
	}()
}

// finish reads what was put off and waits for all jobs.
func (c *collector) finish() error {
	c.mu.Lock()
	jobs := c.deferred
	c.deferred = nil
	c.mu.Unlock()
	for _, j := range jobs {
		c.start(j)
	}
	c.jobs.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// abandon gives up what was put off and waits for what runs.
func (c *collector) abandon() {
	c.mu.Lock()
	jobs := c.deferred
	c.deferred = nil
	c.mu.Unlock()
	for _, j := range jobs {
		c.in.drop(j)
	}
	c.jobs.Wait()
	c.sorter.Close()
}

func (c *collector) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil {
		c.fault = err
	}
}

// keepSymbols puts the symbols of a binary into the store and names them in its
// packages.
func (c *collector) keepSymbols(r *packages.Result) {
	if len(r.Symbols) == 0 {
		return
	}
	d, err := c.in.keepBlob(r.Symbols)
	if err != nil {
		c.fail(err)
		return
	}
	r.Symbols = nil
	for i := range r.Packages {
		if r.Packages[i].Ecosystem == "Go" {
			r.Packages[i].Symbols = d
		}
	}
}

// keepFinding remembers a finding, unless it holds nothing. c.mu is held.
func (c *collector) keepFinding(f finding) {
	if !f.facts.IsZero() {
		if c.facts++; c.facts > maxFacts {
			if c.facts == maxFacts+1 {
				c.addf(touchstone.GapLimit, "", "surface", "the layer has more than %d executables", maxFacts)
			}
			f.facts = surface.Facts{}
		}
	}
	r := &f.result
	if f.facts.IsZero() && len(f.secrets) == 0 && len(r.Packages) == 0 && len(r.Owned) == 0 && len(r.Disowned) == 0 && len(r.Gaps) == 0 {
		return
	}
	if c.outweighs(&f) {
		return
	}
	c.found = append(c.found, f)
}

// keepFacts remembers a file of which nothing but its facts is known.
func (c *collector) keepFacts(j *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepFinding(finding{path: j.path, number: j.number, facts: j.facts})
}

// head returns the first bytes of the content.
func (j *job) head() []byte {
	if j.file == nil {
		return surfaceHead(j.memory)
	}
	head := make([]byte, min(j.size, surface.HeadSize))
	n, _ := j.file.ReadAt(head, 0) // what cannot be read is missing, and told by the reader
	return head[:n]
}

// text returns as much of the content as package secrets looks at.
func (j *job) text() []byte {
	if j.file == nil {
		return j.memory[:min(len(j.memory), secrets.Limit)]
	}
	text := make([]byte, min(j.size, secrets.Limit))
	n, _ := j.file.ReadAt(text, 0)
	return text[:n]
}

package bpf

import "sync"

// census asks the kernel for every process, once for all who ask at about the same
// time. Nobody is told of what was listed before they asked: a process may have
// entered its container since.
type census struct {
	mu   sync.Mutex
	next *list // whose reading has not begun; nil while nobody waits
}

// list is what one reading found.
type list struct {
	done chan struct{}
	all  map[uint32]kernelProcess
	err  error
}

// ask returns a list that was read after the call. Read is called by one at a time,
// and begin before it; who comes until then shares it.
func (g *census) ask(begin sync.Locker, read func() (map[uint32]kernelProcess, error)) (map[uint32]kernelProcess, error) {
	g.mu.Lock()
	l, first := g.next, false
	if l == nil {
		l, first = &list{done: make(chan struct{})}, true
		g.next = l
	}
	g.mu.Unlock()
	if first {
		begin.Lock()
		g.mu.Lock()
		g.next = nil
		g.mu.Unlock()
		l.all, l.err = read()
		begin.Unlock()
		close(l.done)
	}
	<-l.done
	return l.all, l.err
}

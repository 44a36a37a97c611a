package gate

// line is a queue in which each of those who ask has their own, taken in turns.
type line struct {
	turns []string
	lines map[string][]string
}

func (l *line) empty() bool { return len(l.turns) == 0 }

func (l *line) push(by, key string) {
	if l.lines == nil {
		l.lines = map[string][]string{}
	}
	if len(l.lines[by]) == 0 {
		l.turns = append(l.turns, by)
	}
	l.lines[by] = append(l.lines[by], key)
}

func (l *line) pop() (string, bool) {
	if len(l.turns) == 0 {
		return "", false
	}
	by := l.turns[0]
	l.turns = l.turns[1:]
	own := l.lines[by]
	key := own[0]
	if own = own[1:]; len(own) == 0 {
		delete(l.lines, by)
	} else {
		l.lines[by] = own
		l.turns = append(l.turns, by)
	}
	return key, true
}

// deferred is a heap of scans by when they are tried again.
type deferred []*queued

func (h deferred) Len() int           { return len(h) }
func (h deferred) Less(a, b int) bool { return h[a].Next.Before(h[b].Next) }
func (h deferred) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].place, h[b].place = a, b
}

// Push implements heap.Interface.
func (h *deferred) Push(x any) {
	e := x.(*queued)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *deferred) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	e.place = -1
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

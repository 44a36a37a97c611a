//go:build linux

package fanotify

import "sync"

// cache remembers the latest values by the state of a file, bounded and without
// order: when the young half is full, the old half is forgotten.
type cache[V any] struct {
	half int

	mu         sync.Mutex
	young, old map[Stamp]V
}

func (c *cache[V]) get(s Stamp) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[s]; ok {
		return v, true
	}
	v, ok := c.old[s]
	if ok {
		c.keep(s, v)
	}
	return v, ok
}

func (c *cache[V]) put(s Stamp, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(s, v)
}

func (c *cache[V]) keep(s Stamp, v V) {
	if len(c.young) >= c.half {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[Stamp]V)
	}
	c.young[s] = v
}

func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = nil, nil
}

func (c *cache[V]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

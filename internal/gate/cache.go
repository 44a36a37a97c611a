package gate

import (
	"container/list"
	"sync"
)

// cache keeps what is dear to make again, up to a sum of costs; what was longest
// not asked for goes first. It may be used from many goroutines.
type cache[V any] struct {
	mu    sync.Mutex
	limit int64
	held  int64
	order *list.List // of *kept[V], the latest first
	items map[string]*list.Element
}

type cached[V any] struct {
	key   string
	value V
	cost  int64
}

// newCache returns a cache for a sum of costs, which are about bytes.
func newCache[V any](limit int64) *cache[V] {
	return &cache[V]{limit: limit, order: list.New(), items: map[string]*list.Element{}}
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*cached[V]).value, true
	}
	var none V
	return none, false
}

// put keeps a value, unless it alone would take half of the cache.
func (c *cache[V]) put(key string, value V, cost int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(key)
	if cost > c.limit/2 {
		return
	}
	c.items[key] = c.order.PushFront(&cached[V]{key, value, cost})
	c.held += cost
	for c.held > c.limit {
		c.remove(c.order.Back().Value.(*cached[V]).key)
	}
}

func (c *cache[V]) remove(key string) {
	if e, ok := c.items[key]; ok {
		c.held -= e.Value.(*cached[V]).cost
		c.order.Remove(e)
		delete(c.items, key)
	}
}

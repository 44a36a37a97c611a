package inspect

import (
	"math/bits"
	"sync"
)

// buffers lends out memory for the content of files and takes it back, so that
// hundreds of megabytes of files pass through without waking the garbage
// collector. Sizes are powers of two. It may be used from many goroutines.
type buffers struct {
	limit int64 // how much is kept for later

	mu   sync.Mutex
	kept int64
	free [32][][]byte // by the logarithm of the capacity
}

const smallestBuffer = 12 // 4 KiB

// class returns the logarithm of the capacity for n bytes.
func class(n int) int { return max(bits.Len(uint(max(n, 1)-1)), smallestBuffer) }

// capacity returns what n bytes take.
func capacity(n int) int64 { return 1 << class(n) }

// get returns n bytes of any content.
func (b *buffers) get(n int) []byte {
	class := class(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if free := b.free[class]; len(free) > 0 {
		buf := free[len(free)-1]
		b.free[class] = free[:len(free)-1]
		b.kept -= int64(cap(buf))
		return buf[:n]
	}
	return make([]byte, n, 1<<class)
}

// put takes back what get returned. Nobody may use it any more.
func (b *buffers) put(buf []byte) {
	class := class(cap(buf))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept+int64(cap(buf)) > b.limit {
		return
	}
	b.kept += int64(cap(buf))
	b.free[class] = append(b.free[class], buf[:0])
}

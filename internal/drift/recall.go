package drift

import (
	"sort"

	"touchstone.dev/touchstone/internal/manifest"
)

// recall walks a memory in order of path, patches in their places.
type recall struct {
	memory  *memory
	base    records
	more    bool // base stands at a record
	patch   int  // the one that comes next, or that is being read
	patched records
	inPatch bool
	ok      bool // it stands at a record
}

// start returns a walk that stands at the first record not before path. No patch
// may cover more than path.
func (m *memory) start(path []byte) *recall {
	r := &recall{memory: m}
	block := sort.Search(len(m.blocks), func(i int) bool {
		first := records{rest: m.data[m.blocks[i]:]}
		first.next()
		return manifest.Compare(first.cur.path, path) > 0
	})
	if len(m.blocks) > 0 {
		r.base.rest = m.data[m.blocks[max(block-1, 0)]:]
	}
	r.more = r.base.next()
	for r.more && manifest.Compare(r.base.cur.path, path) < 0 {
		r.more = r.base.next()
	}
	r.patch = sort.Search(len(m.patches), func(i int) bool { return manifest.Compare(m.patches[i].path, path) >= 0 })
	r.settle()
	return r
}

// cur returns the record that the walk stands at; it holds until next.
func (r *recall) cur() *record {
	if r.inPatch {
		return &r.patched.cur
	}
	return &r.base.cur
}

// next goes on by one record.
func (r *recall) next() {
	if r.inPatch {
		if r.patched.next() {
			return
		}
		r.inPatch = false
		r.patch++
	} else {
		r.more = r.base.next()
	}
	r.settle()
}

// settle finds what comes next: a patch, where one begins before the record of
// the base, or that record.
func (r *recall) settle() {
	for r.patch < len(r.memory.patches) {
		p := &r.memory.patches[r.patch]
		if r.more && manifest.Compare(r.base.cur.path, p.path) < 0 {
			break
		}
		for r.more && covers(p.path, r.base.cur.path) {
			r.more = r.base.next()
		}
		r.patched = records{rest: p.data}
		if r.inPatch = r.patched.next(); r.inPatch {
			r.ok = true
			return
		}
		r.patch++
	}
	r.ok = r.more
}

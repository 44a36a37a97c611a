package packed

// reader reads packed bytes. After the first fault everything reads as zero.
type reader struct {
	text string
	at   int
	bad  bool
}

func (r *reader) uint() uint64 {
	var v uint64
	for shift := 0; shift < 64 && r.at < len(r.text); shift += 7 {
		b := r.text[r.at]
		r.at++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail()
	return 0
}

func (r *reader) int() int64 {
	u := r.uint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads the length of a list; ok is false for nil. Each entry takes a byte at
// least, so that no list can claim more than is there.
func (r *reader) count() (n int, ok bool) {
	v := r.uint()
	if v == 0 {
		return 0, false
	}
	if v-1 > uint64(len(r.text)-r.at) {
		r.fail()
		return 0, false
	}
	return int(v - 1), true
}

func (r *reader) string() string {
	n := r.uint()
	if n > uint64(len(r.text)-r.at) {
		r.fail()
		return ""
	}
	s := r.text[r.at : r.at+int(n)]
	r.at += int(n)
	return s
}

func (r *reader) fail() { r.bad, r.at = true, len(r.text) }

package version

import "strings"

// debian is a version of Debian's form, cut into its parts. The library compares
// it with big integers and a dozen allocations; half of all versions in the
// index are of this form, and a law in the tests keeps the answers the same.
type debian struct {
	epoch, upstream, revision string
	ok                        bool
}

func parseDebian(text string) debian {
	d := debian{upstream: text, ok: true}
	if epoch, rest, found := strings.Cut(text, ":"); found {
		d.epoch, d.upstream = strings.TrimLeft(epoch, "0"), rest
		d.ok = epoch != "" && strings.Trim(epoch, "0123456789") == ""
	}
	if i := strings.LastIndexByte(d.upstream, '-'); i >= 0 {
		d.upstream, d.revision = d.upstream[:i], d.upstream[i+1:]
	}
	return d
}

func (d *debian) compare(e *debian) int {
	if c := compareDigits(d.epoch, e.epoch); c != 0 {
		return c
	}
	if c := compareDebian(d.upstream, e.upstream); c != 0 {
		return c
	}
	return compareDebian(d.revision, e.revision)
}

// compareDebian compares two parts by turns of other characters and of digits
// (deb-version(7), "Sorting algorithm").
func compareDebian(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			if c := weight(a) - weight(b); c != 0 {
				return sign(c)
			}
			a, b = a[1:], b[1:] // equal weights: neither has ended
		}
		i, j := digits(a), digits(b)
		if c := compareDigits(strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

// weight orders the first character of a part: the tilde before the end, the end
// and digits before letters, letters before everything else.
func weight(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'A' && s[0] <= 'Z', s[0] >= 'a' && s[0] <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

// compareDigits compares numbers of any length without leading zeros.
func compareDigits(a, b string) int {
	if len(a) != len(b) {
		return sign(len(a) - len(b))
	}
	return strings.Compare(a, b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

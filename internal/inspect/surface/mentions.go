package surface

import (
	"bytes"
	"debug/elf"
	"path"
	"slices"
	"strings"
)

const (
	maxMentions  = 256       // stems kept for a file
	maxMentioned = 128 << 20 // bytes of a file that are searched for them
	mentionChunk = 32 << 10
	mentionReach = 128 // the longest name that is recognised
)

// mentions collects the libraries that an ELF file names in its constants
// without needing them: the argument of a dlopen(3) is almost always such a
// string. Only segments that cannot be written are searched, and where some of
// those hold no code, only those: that is where a compiler puts strings.
func (b *binaryFile) mentions(f *Facts, size int64) {
	own := map[string]bool{"": true, stem(f.Soname): true}
	for _, n := range f.Needed {
		own[stem(path.Base(n))] = true
	}
	seen := map[string]bool{}
	budget := int64(maxMentioned)
	for _, s := range b.constants() {
		end := min(s.fileBytes, uint64(max(size, 0)))
		b.search(s.offset, int64(min(end, uint64(budget))), func(name string) {
			if len(seen) < maxMentions && !own[name] {
				seen[name] = true
			}
		})
		budget -= int64(min(end, uint64(budget)))
	}
	for name := range seen {
		f.Mentions = append(f.Mentions, name)
	}
	slices.Sort(f.Mentions)
}

// constants returns the loaded segments in which the strings of the program
// lie.
func (b *binaryFile) constants() []segment {
	fixed := slices.DeleteFunc(slices.Clone(b.loads), func(s segment) bool { return s.flags&elf.PF_W != 0 })
	plain := slices.DeleteFunc(slices.Clone(fixed), func(s segment) bool { return s.flags&elf.PF_X != 0 })
	// A file of two plain segments has its headers in the first and its strings
	// in the second; one alone holds the headers only, and the strings are with
	// the code.
	if len(plain) > 0 && len(fixed) > len(plain) {
		return plain
	}
	return fixed
}

// search reads n bytes from offset and calls yield with the stem of every name
// of a library among them.
func (b *binaryFile) search(offset uint64, n int64, yield func(string)) {
	buf := make([]byte, min(n, mentionChunk)+mentionReach)
	kept := 0 // bytes carried over, so that a name across two chunks is seen whole
	for n > 0 {
		step := min(n, int64(len(buf)-kept))
		got, err := b.content.ReadAt(buf[kept:kept+int(step)], int64(offset))
		if got <= 0 {
			return
		}
		text := buf[:kept+got]
		// Dots are rare in programs, and looking for them one by one is several
		// times faster than bytes.Index, which gives up on that at the first few.
		for at := 0; ; {
			i := bytes.IndexByte(text[at:], '.')
			if i < 0 {
				break
			}
			at += i + 1
			if at+2 <= len(text) && text[at] == 's' && text[at+1] == 'o' {
				if name, ok := mention(text, at+2); ok {
					yield(name)
				}
			}
		}
		if err != nil {
			return
		}
		offset, n = offset+uint64(got), n-int64(got)
		kept = copy(buf, text[max(0, len(text)-mentionReach):])
	}
}

// mention returns the stem of the library whose name ends with ".so" at end,
// when nothing but a version follows it. A name that is completed at run time
// ("libGLX_%s.so.0") gives what lies before the gap and a "*", if that is enough
// to tell libraries apart.
func mention(text []byte, end int) (string, bool) {
	if end < len(text) && text[end] != 0 && text[end] != '.' {
		return "", false
	}
	start := end - len(".so")
	for start > 0 && end-start < mentionReach && isNameByte(text[start-1]) {
		start--
	}
	name := text[start:end]
	if !bytes.HasPrefix(name, []byte("lib")) || len(name) <= len("lib.so") {
		return "", false
	}
	if i := bytes.IndexByte(name, '%'); i >= 0 {
		return string(name[:i]) + "*", i > len("libab")
	}
	return string(name), true
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == '+' || c == '.' || c == '%'
}

// stem returns the name of a library without its version: "libz.so" for
// "libz.so.1.3". It returns "" for what is not named like a library.
func stem(name string) string {
	i := strings.Index(name, ".so")
	if i <= 0 || i+3 < len(name) && name[i+3] != '.' {
		return ""
	}
	return name[:i+3]
}

// mentioned holds the names that some file may open libraries by.
type mentioned struct {
	stems    map[string]bool
	prefixes []string // of names completed at run time
}

func (m *mentioned) add(names []string) {
	for _, n := range names {
		if prefix, open := strings.CutSuffix(n, "*"); !open {
			m.stems[n] = true
		} else if len(m.prefixes) < maxMentions && !slices.Contains(m.prefixes, prefix) {
			m.prefixes = append(m.prefixes, prefix)
		}
	}
}

func (m *mentioned) has(library string) bool {
	s := stem(library)
	return m.stems[s] || s != "" && slices.ContainsFunc(m.prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

package surface

import (
	"bytes"
	"io"
	"path"
	"strings"

	"touchstone.dev/touchstone"
)

// HeadSize is how many of a file's first bytes Wants and Look are given; fewer
// only when the file is shorter.
const HeadSize = 512

// Facts is what the content of one regular file says about how it is executed.
// The zero value is the fact that it cannot be.
type Facts struct {
	Exec touchstone.ExecKind `json:"exec,omitempty"`
	// Interp is the program that the kernel starts in the file's stead: the
	// dynamic linker that an ELF file asks for (PT_INTERP), or the interpreter
	// of a script's first line.
	Interp string `json:"interp,omitempty"`
	// Argument is the rest of a script's first line, which the kernel hands to
	// the interpreter as one argument (execve(2), "Interpreter scripts").
	Argument string `json:"argument,omitempty"`
	// Static is true for an ELF program that loads no library by itself.
	Static bool `json:"static,omitempty"`
	// ABI is e_machine<<8 | EI_CLASS of an ELF file: the linker only joins
	// files in which it is the same.
	ABI     uint32   `json:"abi,omitempty"`
	Soname  string   `json:"soname,omitempty"`
	RPath   string   `json:"rpath,omitempty"`
	RunPath string   `json:"runpath,omitempty"`
	Needed  []string `json:"needed,omitempty"` // DT_NEEDED, in order
	// Mentions are the stems ("libgcc_s.so") of libraries that an ELF file
	// holds as strings without needing them: it may well open them by
	// dlopen(3).
	Mentions []string `json:"mentions,omitempty"`
	// Lines are the meaningful lines of a file that configures the dynamic
	// linker, such as etc/ld.so.conf.
	Lines []string `json:"lines,omitempty"`
	// Incomplete says why an ELF file could not be read as far as the linker
	// would read it; empty when it was.
	Incomplete string `json:"incomplete,omitempty"`
}

// IsZero reports whether there is nothing to keep.
func (f *Facts) IsZero() bool { return f.Exec == touchstone.ExecNone && len(f.Lines) == 0 }

// weight is about how many bytes the facts take.
func (f *Facts) weight() int {
	n := 128 + len(f.Interp) + len(f.Argument) + len(f.Soname) + len(f.RPath) + len(f.RunPath)
	for _, names := range [][]string{f.Needed, f.Mentions, f.Lines} {
		for _, s := range names {
			n += 16 + len(s)
		}
	}
	return n
}

// Wants reports whether Look needs the content of a file as an io.ReaderAt: ELF
// files and the few small files that configure the dynamic linker. name is the
// path without a leading slash, head the first HeadSize bytes.
func Wants(name string, size int64, head []byte) bool {
	return isELF(head) || configuresLinker(name) && size <= maxConfig
}

// Look returns the facts about one regular file. content may be nil where Wants
// is false. It reads a bounded part of content, at most once, and keeps nothing
// of it but the facts. It never fails: what is malformed is told by
// Facts.Incomplete.
func Look(name string, size int64, head []byte, content io.ReaderAt) Facts {
	switch {
	case isELF(head):
		return lookELF(size, head, content)
	case len(head) > 1 && head[0] == '#' && head[1] == '!':
		return lookScript(head)
	case content != nil && configuresLinker(name) && size <= maxConfig:
		return lookConfig(size, content)
	}
	return Facts{}
}

// Exec says how a regular file can be executed. The answer is that of Look, for
// whoever needs nothing else; it reads no more than the headers of an ELF file
// and its dynamic section.
func Exec(head []byte, content io.ReaderAt) touchstone.ExecKind {
	switch {
	case isELF(head):
		return (&binaryFile{content: content}).facts(head).Exec
	case len(head) > 1 && head[0] == '#' && head[1] == '!':
		return lookScript(head).Exec
	}
	return touchstone.ExecNone
}

func isELF(head []byte) bool {
	return len(head) > 3 && head[0] == 0x7f && head[1] == 'E' && head[2] == 'L' && head[3] == 'F'
}

// maxShebang is how much of a script the kernel looks at (BINPRM_BUF_SIZE in
// linux/binfmts.h, since Linux 5.1).
const maxShebang = 256

// lookScript reads the first line as the kernel does (fs/binfmt_script.c). A
// line that begins with "#![" is an attribute of Rust, not a path.
func lookScript(head []byte) Facts {
	line := head[2:min(len(head), maxShebang)]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	if i := bytes.IndexByte(line, 0); i >= 0 {
		line = line[:i]
	}
	text := strings.Trim(string(line), " \t")
	if text == "" || text[0] == '[' {
		return Facts{}
	}
	f := Facts{Exec: touchstone.ExecScript, Interp: text}
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		f.Interp, f.Argument = text[:i], strings.TrimLeft(text[i:], " \t")
	}
	return f
}

// maxConfig bounds a file that configures the dynamic linker.
const maxConfig = 64 << 10

// configuresLinker reports whether the dynamic linker reads its search path or
// its preloaded libraries from the file: ld.so(8), ldconfig(8), and musl's
// ldso/dynlink.c.
func configuresLinker(name string) bool {
	rest, ok := strings.CutPrefix(name, "etc/ld")
	if !ok {
		return false
	}
	switch {
	case rest == ".so.conf", rest == ".so.preload":
		return true
	case strings.HasPrefix(rest, ".so.conf.d/"):
		return path.Ext(rest) == ".conf"
	case strings.HasPrefix(rest, "-musl-"):
		return strings.HasSuffix(rest, ".path")
	}
	return false
}

func lookConfig(size int64, content io.ReaderAt) Facts {
	text := make([]byte, size)
	n, _ := content.ReadAt(text, 0) // a short read leaves what there is
	var f Facts
	for line := range strings.Lines(string(text[:n])) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" && len(f.Lines) < maxNames {
			f.Lines = append(f.Lines, line)
		}
	}
	return f
}

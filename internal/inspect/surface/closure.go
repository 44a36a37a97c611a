package surface

import (
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// linker finds the libraries that the dynamic linker would load (ld.so(8), and
// musl's ldso/dynlink.c). The folders that it searches by itself are the union
// of what either linker does: the ABI keeps files of different machines apart,
// and two C libraries in one artifact share no names.
type linker struct {
	walk    *walker
	files   map[string]executable
	preset  []string            // LD_LIBRARY_PATH
	system  []string            // etc/ld.so.conf, musl's path file, built-in folders
	byName  map[string][]string // libraries by soname and by the name of their file
	reached map[string]bool
	queue   []loaded
	known   map[linkage][]string // what the system's folders hold, as far as asked
	unread  []string             // reached, but read incompletely
}

// linkage is a needed name and the ABI of the file that needs it.
type linkage struct {
	name string
	abi  uint32
}

// maxNamesakes is how many files of one name are taken for it where the linker
// itself finds none.
const maxNamesakes = 16

// loaded is a file whose libraries are still to be found.
type loaded struct {
	path string
	// rpath holds the folders of DT_RPATH of those who asked for it, nearest
	// first, $ORIGIN replaced.
	rpath []string
}

func newLinker(s *survey, cfg *touchstone.Configuration) *linker {
	l := &linker{walk: &s.walk, files: s.files, byName: map[string][]string{}, known: map[linkage][]string{}}
	if v, ok := variable(cfg.Environment, "LD_LIBRARY_PATH"); ok {
		l.preset = l.folders(strings.FieldsFunc(v, isListSeparator), "")
	}
	found := []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}
	for _, name := range s.order {
		x := s.files[name]
		switch {
		case len(x.Lines) > 0 && name != "etc/ld.so.preload":
			found = append(found, searchPath(x.Lines)...)
		case x.Exec == touchstone.ExecLibrary:
			base := path.Base(name)
			l.called(base, name)
			if x.Soname != base {
				l.called(x.Soname, name)
			}
			if isLinker(base) && (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "usr/lib")) {
				// Debian's linker searches its own folder without being told.
				found = append(found, "/"+path.Dir(name), "/usr/"+path.Dir(name))
			}
		}
	}
	l.system = l.folders(found, "")
	return l
}

func (l *linker) called(name, file string) {
	if name != "" && len(l.byName[name]) < maxNamesakes {
		l.byName[name] = append(l.byName[name], file)
	}
}

func isListSeparator(r rune) bool { return r == ':' || r == ';' }

func isLinker(base string) bool {
	return strings.HasPrefix(base, "ld-linux") || strings.HasPrefix(base, "ld-musl-") || strings.HasPrefix(base, "ld64.so") || strings.HasPrefix(base, "ld.so")
}

// searchPath returns the folders in a configuration of either linker. An
// "include" is left out, because the included files are looked at as well.
func searchPath(lines []string) []string {
	var dirs []string
	for _, line := range lines {
		if strings.HasPrefix(line, "include ") || strings.HasPrefix(line, "hwcap ") {
			continue
		}
		for _, d := range strings.FieldsFunc(line, func(r rune) bool { return isListSeparator(r) || r == ',' || r == ' ' || r == '\t' }) {
			d, _, _ = strings.Cut(d, "=") // a flavour of the library, of old
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// folders resolves a search path to the folders of the tree, without repeats.
// origin is the folder of the file that names them.
func (l *linker) folders(names []string, origin string) []string {
	var dirs []string
	for _, n := range names {
		if len(dirs) >= maxNames {
			break
		}
		for _, expanded := range expand(n, origin) {
			links := 0
			dir, ok := l.walk.dir(strings.TrimPrefix(path.Clean("/"+expanded), "/"), &links)
			if ok && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// expand replaces the linker's dynamic string tokens (ld.so(8)). $LIB has two
// usual values; $PLATFORM none that could be known.
func expand(name, origin string) []string {
	if !strings.Contains(name, "$") {
		return []string{name}
	}
	for _, token := range []string{"$ORIGIN", "${ORIGIN}"} {
		name = strings.ReplaceAll(name, token, "/"+origin)
	}
	var names []string
	for _, lib := range []string{"lib", "lib64"} {
		n := strings.NewReplacer("$LIB", lib, "${LIB}", lib).Replace(name)
		if !strings.Contains(n, "$") && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// reach follows the files and everything that is loaded with them, and adds all
// to l.reached.
func (l *linker) reach(paths []string) {
	for _, p := range paths {
		l.enter(p, nil)
	}
	for len(l.queue) > 0 {
		next := l.queue[len(l.queue)-1]
		l.queue = l.queue[:len(l.queue)-1]
		l.load(next)
	}
}

func (l *linker) enter(name string, rpath []string) {
	if !l.reached[name] {
		l.reached[name] = true
		l.queue = append(l.queue, loaded{name, rpath})
	}
}

func (l *linker) load(o loaded) {
	x, ok := l.files[o.path]
	if !ok || x.Exec != touchstone.ExecELF && x.Exec != touchstone.ExecLibrary {
		return
	}
	if x.Incomplete != "" {
		l.unread = append(l.unread, o.path)
	}
	if x.Interp != "" {
		if f, ok := l.walk.file(x.Interp); ok {
			l.enter(f.Path, nil)
		}
	}
	if len(x.Needed) == 0 {
		return
	}
	origin := strings.TrimSuffix(path.Dir(o.path), ".")
	rpath := o.rpath
	var runpath []string
	if x.RunPath != "" {
		runpath = l.folders(strings.FieldsFunc(x.RunPath, isListSeparator), origin)
	} else if x.RPath != "" {
		own := l.folders(strings.FieldsFunc(x.RPath, isListSeparator), origin)
		rpath = append(own, rpath...)[:min(len(own)+len(rpath), maxNames)]
	}
	search := slices.Concat(rpath, l.preset)
	if x.RunPath != "" {
		search = slices.Concat(l.preset, runpath) // it switches DT_RPATH off
	}
	for _, n := range x.Needed {
		for _, p := range l.find(n, search, origin, x.ABI) {
			l.enter(p, rpath)
		}
	}
}

// find returns the file that a needed name stands for: in the folders of search
// first, then in those of the system. When it is in none of them, every library
// of that name is: a wrapper may set the search path, and a library must not be
// called unneeded for that.
func (l *linker) find(needed string, search []string, origin string, abi uint32) []string {
	if strings.Contains(needed, "/") {
		for _, n := range expand(needed, origin) {
			if f, ok := l.walk.file(n); ok {
				return []string{f.Path}
			}
		}
		needed = path.Base(needed)
	}
	if p, ok := l.lookIn(search, needed, abi); ok {
		return []string{p}
	}
	key := linkage{needed, abi}
	found, ok := l.known[key]
	if !ok {
		if p, ok := l.lookIn(l.system, needed, abi); ok {
			found = []string{p}
		} else {
			for _, p := range l.byName[needed] {
				if l.files[p].ABI == abi {
					found = append(found, p)
				}
			}
		}
		l.known[key] = found
	}
	return found
}

func (l *linker) lookIn(dirs []string, name string, abi uint32) (string, bool) {
	for _, dir := range dirs {
		if l.walk.lookups > maxLookups {
			return "", false
		}
		f, ok := l.walk.file(join(dir, name))
		if !ok {
			continue
		}
		if x := l.files[f.Path]; x.Facts != nil && x.ABI == abi {
			return f.Path, true
		}
	}
	return "", false
}

// closure resolves what is executed when the artifact starts, the libraries
// that this needs, and those that nothing in the artifact needs.
//
// A library is called unneeded only when all of this holds: it has a soname and
// is called lib*.so*, it lies in a folder that the linker searches by itself
// (plugins, such as those of PAM, gconv, Python or a JVM, lie elsewhere), it is
// not a module of the name service switch, no program, no plugin and no library
// that these need names it in DT_NEEDED, and no ELF file in the artifact, whether
// needed or not, holds its name as a string, as it would to open it by
// dlopen(3). What a script opens through a foreign function interface is not
// seen, nor a name that a program puts together from pieces.
func (s *survey) closure(cfg touchstone.Configuration) (known bool, needed, unneeded []string) {
	link := newLinker(s, &cfg)
	start := newLaunch(s, &cfg)
	preloaded := s.preloaded(&cfg)

	if known = start.run(slices.Concat(cfg.Entrypoint, cfg.Command), 0); known {
		link.reached = map[string]bool{}
		link.reach(append(start.roots, preloaded...))
		for p := range link.reached {
			if s.files[p].Exec == touchstone.ExecLibrary {
				needed = append(needed, p)
			}
		}
		slices.Sort(link.unread)
		for _, p := range link.unread {
			s.gap(touchstone.GapCorrupt, p, "the entrypoint needs it: "+s.files[p].Incomplete)
		}
	}

	roots, candidates := preloaded, []string(nil)
	named := mentioned{stems: map[string]bool{}}
	for _, name := range s.order {
		x := s.files[name]
		named.add(x.Mentions)
		if link.plain(name, x) {
			candidates = append(candidates, name)
		} else {
			roots = append(roots, name)
		}
	}
	link.reached = map[string]bool{}
	link.reach(roots)
	for _, c := range candidates {
		x := s.files[c]
		if !link.reached[c] && !named.has(path.Base(c)) && !named.has(x.Soname) {
			unneeded = append(unneeded, c)
		}
	}
	return known, needed, unneeded
}

// plain reports whether the file is a library that is there to be linked with.
func (l *linker) plain(name string, x executable) bool {
	base := path.Base(name)
	return x.Exec == touchstone.ExecLibrary && x.Soname != "" &&
		strings.HasPrefix(base, "lib") && stem(base) != "" &&
		!strings.HasPrefix(base, "libnss_") &&
		slices.Contains(l.system, strings.TrimSuffix(path.Dir(name), "."))
}

// preloaded returns the libraries that are loaded into every program.
func (s *survey) preloaded(cfg *touchstone.Configuration) []string {
	lines := []string{}
	if x, ok := s.files["etc/ld.so.preload"]; ok {
		lines = append(lines, x.Lines...)
	}
	if v, ok := variable(cfg.Environment, "LD_PRELOAD"); ok {
		lines = append(lines, v)
	}
	var paths []string
	for _, line := range lines {
		for _, name := range strings.FieldsFunc(line, func(r rune) bool { return r == ':' || r == ' ' || r == '\t' }) {
			if f, ok := s.walk.file(name); ok && strings.Contains(name, "/") {
				paths = append(paths, f.Path)
			}
		}
	}
	return paths
}

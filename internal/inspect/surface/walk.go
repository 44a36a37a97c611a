package surface

import (
	"path"
	"strings"

	"touchstone.dev/touchstone"
)

// maxLinks is how many symbolic links are followed for one path, as the kernel
// does (MAXSYMLINKS).
const maxLinks = 40

// maxLookups is how many entries of the tree are asked for in one measurement:
// ten times what the largest honest image takes.
const maxLookups = 2_000_000

// walker follows paths through a tree as the kernel would from its root: links
// are resolved in every component and never lead out. A ".." behind a link within
// one path is taken by its letters.
type walker struct {
	tree    Tree
	dirs    map[string]resolved // folders that were asked for already
	lookups int
}

// resolved is where a folder's path leads to, if anywhere.
type resolved struct {
	path string
	ok   bool
}

func (w *walker) find(name string) (touchstone.File, bool) {
	if w.lookups++; w.lookups > maxLookups {
		return touchstone.File{}, false
	}
	return w.tree.Find(name)
}

// file returns the file that the path leads to, with its own path. ok is false
// when there is none or the links go in circles.
func (w *walker) file(name string) (f touchstone.File, ok bool) {
	links := 0
	return w.follow(name, &links)
}

func (w *walker) follow(name string, links *int) (touchstone.File, bool) {
	for {
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		if len(name) > maxString {
			return touchstone.File{}, false
		}
		dir, base := path.Split(name)
		if base == "" {
			return touchstone.File{Kind: touchstone.FileDir}, true
		}
		dir, ok := w.dir(strings.TrimSuffix(dir, "/"), links)
		if !ok {
			return touchstone.File{}, false
		}
		name = join(dir, base)
		f, ok := w.find(name)
		if !ok || f.Kind != touchstone.FileSymlink {
			return f, ok
		}
		if *links++; *links > maxLinks {
			return touchstone.File{}, false
		}
		if name = f.Link; !strings.HasPrefix(name, "/") {
			name = join(dir, name)
		}
	}
}

// dir returns the path of the folder that name leads to. A folder that the
// layers imply without an entry of its own stands for itself.
func (w *walker) dir(name string, links *int) (string, bool) {
	if name == "" {
		return "", true
	}
	if r, known := w.dirs[name]; known {
		return r.path, r.ok
	}
	real, ok := w.followDir(name, links)
	if len(w.dirs) < maxFacts {
		w.dirs[name] = resolved{real, ok}
	}
	return real, ok
}

func (w *walker) followDir(name string, links *int) (string, bool) {
	parent, base := path.Split(name)
	parent, ok := w.dir(strings.TrimSuffix(parent, "/"), links)
	if !ok {
		return "", false
	}
	real := join(parent, base)
	f, ok := w.find(real)
	if !ok || f.Kind != touchstone.FileSymlink {
		return real, !ok || f.Kind == touchstone.FileDir
	}
	if *links++; *links > maxLinks || len(f.Link) > maxString {
		return "", false
	}
	target := f.Link
	if !strings.HasPrefix(target, "/") {
		target = join(parent, target)
	}
	return w.dir(strings.TrimPrefix(path.Clean("/"+target), "/"), links)
}

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

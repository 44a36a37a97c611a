package inspect

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// keptFiles are the small files of one layer that readers look at beside the
// one they read. It is an fs.FS of those files and the folders above them, and
// grows while it is used.
type keptFiles struct {
	mu    sync.Mutex
	files map[string]keptFile
	bytes int64
}

type keptFile struct {
	content []byte
	mode    fs.FileMode
	modTime time.Time
}

// keep copies the content of a job.
func (c *collector) keep(j *job) {
	k := &c.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes+j.size > maxKept {
		c.addf(touchstone.GapLimit, j.path, "inspect", "the layer has more than %d bytes of small files that readers need", maxKept)
		return
	}
	content := bytes.Clone(j.memory)
	if j.path == passwd {
		content = usersAlone(content)
	}
	k.bytes += int64(len(content))
	k.files[j.path] = keptFile{content, j.info.Mode(), j.info.ModTime()}
}

func (k *keptFiles) remove(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.files[name]; ok {
		k.bytes -= int64(len(f.content))
		delete(k.files, name)
	}
}

// Open opens a kept file, or a folder above one.
func (k *keptFiles) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.files[name]; ok {
		return &openKept{info: keptInfo{path.Base(name), int64(len(f.content)), f.mode, f.modTime}, Reader: bytes.NewReader(f.content)}, nil
	}
	var list []fs.DirEntry
	seen := map[string]bool{}
	for p, f := range k.files {
		rest := p
		if name != "." {
			var ok bool
			if rest, ok = strings.CutPrefix(p, name+"/"); !ok {
				continue
			}
		}
		child, below, deeper := strings.Cut(rest, "/")
		if seen[child] || deeper && below == "" {
			continue
		}
		seen[child] = true
		info := keptInfo{child, int64(len(f.content)), f.mode, f.modTime}
		if deeper {
			info = keptInfo{name: child, mode: fs.ModeDir | 0o755}
		}
		list = append(list, fs.FileInfoToDirEntry(info))
	}
	if list == nil && name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openKept{info: keptInfo{name: path.Base(name), mode: fs.ModeDir | 0o755}, Reader: bytes.NewReader(nil), list: list}, nil
}

// openKept is an open file, or a folder where list is its content.
type openKept struct {
	*bytes.Reader
	info keptInfo
	list []fs.DirEntry
}

func (o *openKept) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *openKept) Close() error               { return nil }

// ReadDir lists a folder.
func (o *openKept) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		list := o.list
		o.list = nil
		return list, nil
	}
	if len(o.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(o.list))
	list := o.list[:n]
	o.list = o.list[n:]
	return list, nil
}

// keptInfo is an fs.FileInfo.
type keptInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	modTime time.Time
}

func (i keptInfo) Name() string       { return i.name }
func (i keptInfo) Size() int64        { return i.size }
func (i keptInfo) Mode() fs.FileMode  { return i.mode }
func (i keptInfo) ModTime() time.Time { return i.modTime }
func (i keptInfo) IsDir() bool        { return i.mode.IsDir() }
func (i keptInfo) Sys() any           { return nil }

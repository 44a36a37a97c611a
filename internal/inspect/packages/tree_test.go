package packages

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"touchstone.dev/touchstone"
)

// found is what a whole tree told: the results of its files put together, as the
// pipeline does it for one layer.
type found struct {
	Result
	wanted []string
	os     touchstone.OS
}

// names returns "name version" of each package, source in parentheses, in order.
func (f found) names() []string {
	var names []string
	for _, p := range f.Packages {
		n := p.Name + " " + p.Version
		if p.Source != "" || p.SourceVersion != "" {
			n += " (" + p.Source + " " + p.SourceVersion + ")"
		}
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// readTree reads every wanted file of the tree.
func readTree(t testing.TB, tree fs.FS) found {
	t.Helper()
	r := New(Config{})
	var all found
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := openContent(tree, path)
		if err != nil {
			return err
		}
		head := make([]byte, 32)
		n, err := content.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if c, ok := content.(io.Closer); ok {
			defer func() { _ = c.Close() }()
		}
		if !r.Wants(path, info, head[:n]) {
			return nil
		}
		all.wanted = append(all.wanted, path)
		one := r.Read(context.Background(), Input{Path: path, Info: info, Content: content, Size: info.Size(), FS: tree})
		all.Packages = append(all.Packages, one.Packages...)
		all.Owned = append(all.Owned, one.Owned...)
		all.Disowned = append(all.Disowned, one.Disowned...)
		all.Gaps = append(all.Gaps, one.Gaps...)
		if one.Symbols != nil {
			all.Symbols = one.Symbols
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all.os = ReadOS(func(path string) ([]byte, error) { return fs.ReadFile(tree, path) })
	all.Packages = Complete(all.Packages, all.os)
	slices.Sort(all.Owned)
	return all
}

func openContent(tree fs.FS, path string) (Content, error) {
	f, err := tree.Open(path)
	if err != nil {
		return nil, err
	}
	if c, ok := f.(Content); ok {
		return c, nil
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(content), f.Close()
}

// treeOf makes a tree of texts.
func treeOf(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for path, text := range files {
		tree[path] = &fstest.MapFile{Data: []byte(text), Mode: 0o644, ModTime: time.Unix(1e9, 0)}
	}
	return tree
}

// readOne reads one file.
func readOne(t testing.TB, path string, content []byte) found {
	t.Helper()
	return readTree(t, fstest.MapFS{path: {Data: content, Mode: 0o644}})
}

// shared returns the path of a file of the data that lies beside the project.
func shared(t testing.TB, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
	path = filepath.Join(dir, "..", "shared", filepath.FromSlash(path))
	if _, err := os.Stat(path); err != nil {
		t.Skip("the data beside the project is missing: ", err)
	}
	return path
}

// unpackTar returns the regular files of a compressed tar.
func unpackTar(t testing.TB, path string) fstest.MapFS {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return tree
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		tree[strings.TrimPrefix(h.Name, "./")] = &fstest.MapFile{Data: content, Mode: fs.FileMode(h.Mode) & fs.ModePerm}
	}
}

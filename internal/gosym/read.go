package gosym

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
)

// maxHashes bounds the memory of a set: 8 bytes each while it is made, 5 after.
// The largest real binaries have about a million.
const maxHashes = 8 << 20

// Packages returns the import paths of all packages that the Go program in r
// holds functions of, in order, those of the standard library too.
func Packages(r io.ReaderAt) ([]string, error) {
	found := map[string]bool{}
	table, err := find(r)
	if err != nil {
		return nil, fmt.Errorf("list the packages of a Go binary: %w", err)
	}
	err = table.each(func(name []byte) error {
		pkgPath, _, ok := split(string(name))
		if ok && !found[pkgPath] {
			if found[pkgPath] = true; len(found) > maxPackages {
				return fmt.Errorf("more than %d packages", maxPackages)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the packages of a Go binary: %w", err)
	}
	paths := make([]string, 0, len(found))
	for p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

// maxPackages is far above the few thousand packages of the largest programs.
const maxPackages = 1 << 18

func read(r io.ReaderAt) (*Set, error) {
	table, err := find(r)
	if err != nil {
		return nil, fmt.Errorf("read the functions of a Go binary: %w", err)
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		info = nil // it only says what package main is
	}
	c := newCollector(info)
	if err := table.each(c.add); err != nil {
		return nil, fmt.Errorf("read the functions of a Go binary: %w", err)
	}
	if err := c.whole(); err != nil {
		return nil, fmt.Errorf("read the functions of a Go binary: %w", err)
	}
	return newSet(c.flags, c.hashes), nil
}

// collector turns names into hashes and watches for signs that the table does not
// tell the truth.
type collector struct {
	flags    byte
	hashes   []uint64
	mainPath string
	modules  []string // paths of all modules that went into the build
	packages map[string]bool

	runtime  bool // runtime.main is there
	main     bool // anything of package main is there
	anything bool // a package of one of the modules is there
}

func newCollector(info *debug.BuildInfo) *collector {
	c := &collector{packages: map[string]bool{}}
	if info != nil {
		c.mainPath = info.Path
		for _, m := range info.Deps {
			c.modules = append(c.modules, m.Path)
		}
	}
	if c.mainPath == "" || c.mainPath == "command-line-arguments" {
		c.flags |= flagMain
	}
	return c
}

func (c *collector) add(name []byte) error {
	pkgPath, rest, ok := split(string(name))
	if !ok {
		return nil
	}
	c.runtime = c.runtime || pkgPath == "runtime" && rest == "main"
	c.addPackage(pkgPath)
	symbols(rest, func(symbol string) {
		c.each(pkgPath, func(path string) { c.hashes = append(c.hashes, hashSymbol(path, symbol)) })
	})
	if len(c.hashes) > maxHashes || len(c.packages) > maxPackages {
		slices.Sort(c.hashes)
		c.hashes = slices.Compact(c.hashes)
		if len(c.hashes) > maxHashes/2 || len(c.packages) > maxPackages {
			return errors.New("more names than any real program has")
		}
	}
	return nil
}

// each calls yield with all import paths that the package may be asked for by.
func (c *collector) each(pkgPath string, yield func(string)) {
	aliases(pkgPath, yield)
	if pkgPath == "main" && c.mainPath != "" {
		yield(c.mainPath)
	}
}

func (c *collector) addPackage(pkgPath string) {
	if c.packages[pkgPath] {
		return
	}
	c.packages[pkgPath] = true
	c.main = c.main || pkgPath == "main"
	c.each(pkgPath, func(path string) {
		c.hashes = append(c.hashes, hashPackage(path))
		for _, m := range c.modules {
			c.anything = c.anything || path == m || strings.HasPrefix(path, m) && path[len(m)] == '/'
		}
	})
}

// whole reports why the names cannot be taken for all that the program holds.
func (c *collector) whole() error {
	switch {
	case !c.runtime:
		return errors.New("the table lacks the runtime: the names are obfuscated, or the program is spread over several files")
	case !c.main:
		return errors.New("the table lacks package main: a plugin, or the names are obfuscated")
	case len(c.modules) > 0 && !c.anything:
		return errors.New("the table lacks every module that the build names: the names are obfuscated")
	}
	return nil
}

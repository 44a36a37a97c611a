package surface

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// Entry is one entry of the squashed tree.
type Entry struct {
	// File needs no SHA-256 but where it can be executed: copies and hard links
	// of one program are known by it.
	touchstone.File
	// Facts are those of the regular file, from the layer that it comes from;
	// nil where there are none.
	Facts *Facts
	// Capability is the value of the extended attribute security.capability;
	// nil where there is none.
	Capability []byte
}

// Tree is the root file system after all layers are squashed.
type Tree interface {
	// Entries yields every entry in path order. Measure reads it once, keeps
	// some of the Facts and no pointer to an Entry.
	Entries() iter.Seq[*Entry]
	// Find returns the entry at exactly this path, without a leading slash and
	// without following links. It is asked a few thousand times.
	Find(path string) (touchstone.File, bool)
}

const (
	// MaxEntries is how many entries a list of the surface has at most.
	MaxEntries = 10_000
	// maxFacts bounds what Measure remembers of a tree: files that can be
	// executed or loaded, and links that are called like a tool.
	maxFacts = 200_000
	// maxWeight bounds the bytes of their facts.
	maxWeight = 64 << 20
)

// Measure returns the surface of a tree that is run as cfg says. Lists are
// sorted and hold at most MaxEntries; a longer one is cut and told as a gap, as
// is what was needed and could not be read. Gaps have Layer -1.
func Measure(tree Tree, cfg touchstone.Configuration) (touchstone.Surface, []touchstone.Gap) {
	s := &survey{
		walk:  walker{tree: tree, dirs: map[string]resolved{}},
		box:   newToolbox(),
		files: map[string]executable{},
	}
	for e := range tree.Entries() {
		s.add(e)
	}
	s.callLinks()
	s.callCopies()
	s.surface.EntrypointKnown, s.surface.Needed, s.surface.Unneeded = s.closure(cfg)
	if s.walk.lookups > maxLookups {
		s.gap(touchstone.GapLimit, "", "the links of the tree are too entangled to follow all")
	}
	s.finish()
	return s.surface, s.gaps
}

// survey is a measurement under way.
type survey struct {
	walk    walker
	box     toolbox
	surface touchstone.Surface
	found   [categories]listing
	files   map[string]executable // what can be executed or loaded, by path
	order   []string              // the keys of files, in path order
	links   []toolLink
	gaps    []touchstone.Gap
	weight  int  // of the facts in files
	full    bool // maxFacts or maxWeight was reached and told
}

// listing is the set of paths in one category.
type listing map[string]bool

type executable struct {
	*Facts
	digest touchstone.Digest
	mode   uint32
}

// toolLink is a symbolic link that is called like a tool.
type toolLink struct {
	path     string
	category category
}

const (
	modeSetuid  = 0o4000
	modeSetgid  = 0o2000
	modeSticky  = 0o1000
	modeExecute = 0o111
	modeGroupX  = 0o010
	modeOthersW = 0o002
)

func (s *survey) add(e *Entry) {
	switch e.Kind {
	case touchstone.FileSymlink:
		if c, ok := s.tool(e.Path); ok && s.room(len(s.links)) {
			s.links = append(s.links, toolLink{e.Path, c})
		}
	case touchstone.FileDir:
		if e.Mode&(modeOthersW|modeSticky) == modeOthersW && !mountedOver(e.Path) {
			list(&s.surface.WorldWritable, e.Path)
		}
	case touchstone.FileRegular:
		s.addFile(e)
	}
}

func (s *survey) addFile(e *Entry) {
	if e.Mode&modeOthersW != 0 && !mountedOver(e.Path) {
		list(&s.surface.WorldWritable, e.Path)
	}
	if e.Mode&modeSetuid != 0 && e.Mode&modeExecute != 0 || e.Mode&modeSetgid != 0 && e.Mode&modeGroupX != 0 {
		list(&s.surface.Setuid, e.Path)
	}
	if e.Capability != nil {
		s.addCapability(e)
	}
	if e.Facts == nil || e.Facts.IsZero() {
		return
	}
	s.weight += e.Facts.weight()
	if s.room(len(s.files)) {
		s.files[e.Path] = executable{e.Facts, e.SHA256, e.Mode}
		s.order = append(s.order, e.Path)
	}
	if e.Facts.Exec == touchstone.ExecNone || e.Mode&modeExecute == 0 {
		return
	}
	if c, ok := s.tool(e.Path); ok {
		s.call(c, e.Path)
	}
}

// tool returns the category of what is called so in this place.
func (s *survey) tool(name string) (category, bool) {
	c, ok := s.box.find(path.Base(name))
	return c, ok && !namesakes(name)
}

func (s *survey) addCapability(e *Entry) {
	names, err := capabilities(e.Capability)
	switch {
	case err != nil:
		s.gap(touchstone.GapCorrupt, e.Path, err.Error())
	case names != "":
		list(&s.surface.Capabilities, e.Path+": "+names)
	}
}

// mountedOver reports whether the place is covered when the artifact runs, so
// that what the layers hold there is never seen.
func mountedOver(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first == "dev" || first == "proc" || first == "sys"
}

// list appends an entry, up to one more than is kept: that one tells that the
// list was cut.
func list(to *[]string, entry string) {
	if len(*to) <= MaxEntries {
		*to = append(*to, entry)
	}
}

// call puts a file into a category. One more than is kept tells that the list
// was cut.
func (s *survey) call(c category, name string) {
	if s.found[c] == nil {
		s.found[c] = listing{}
	}
	if len(s.found[c]) <= MaxEntries {
		s.found[c][name] = true
	}
}

func (s *survey) room(n int) bool {
	if n < maxFacts && s.weight < maxWeight {
		return true
	}
	if !s.full {
		s.full = true
		s.gap(touchstone.GapLimit, "", fmt.Sprintf("more than %d executable files and links, or %d MiB of what they need; the rest is not in the surface", maxFacts, maxWeight>>20))
	}
	return false
}

func (s *survey) gap(kind touchstone.GapKind, name, reason string) {
	if len(s.gaps) < 100 {
		s.gaps = append(s.gaps, touchstone.Gap{Kind: kind, Path: name, Layer: -1, Reader: "surface", Reason: reason})
	}
}

// callLinks lists the files that links make into tools: npm, for example, is a
// link to npm-cli.js. The file counts, once, however many links there are.
func (s *survey) callLinks() {
	for _, l := range s.links {
		f, ok := s.walk.file(l.path)
		if !ok || f.Kind != touchstone.FileRegular || f.Mode&modeExecute == 0 {
			continue
		}
		if x, ok := s.files[f.Path]; ok && x.Exec != touchstone.ExecNone {
			s.call(l.category, f.Path)
		}
	}
}

// callCopies lists ELF programs that are the same as a listed one under a name
// that says nothing, and gathers the hard links of a multi-call program under
// its own name.
func (s *survey) callCopies() {
	multi := map[touchstone.Digest]string{}
	listed := map[touchstone.Digest][]category{}
	for c := range s.found {
		for name := range s.found[c] {
			x := s.files[name]
			if x.Facts == nil || x.Exec == touchstone.ExecScript || x.digest == "" {
				continue
			}
			if !slices.Contains(listed[x.digest], category(c)) {
				listed[x.digest] = append(listed[x.digest], category(c))
			}
			if known := multi[x.digest]; multiCall(path.Base(name)) && (known == "" || name < known) {
				multi[x.digest] = name
			}
		}
	}
	for _, name := range s.order {
		x := s.files[name]
		if x.mode&modeExecute == 0 {
			continue
		}
		for _, c := range listed[x.digest] {
			if own := multi[x.digest]; own != "" {
				delete(s.found[c], name)
				s.call(c, own)
			} else {
				s.call(c, name)
			}
		}
	}
}

// finish sorts and bounds the lists and counts them.
func (s *survey) finish() {
	f := &s.surface
	for c, to := range [categories]*[]string{
		shells:          &f.Shells,
		packageManagers: &f.PackageManagers,
		interpreters:    &f.Interpreters,
		networkTools:    &f.NetworkTools,
		debugTools:      &f.DebugTools,
		loginDaemons:    &f.LoginDaemons,
	} {
		for name := range s.found[c] {
			*to = append(*to, name)
		}
	}
	for _, l := range []struct {
		name    string
		list    *[]string
		counted bool
	}{
		{"setuid", &f.Setuid, true},
		{"capabilities", &f.Capabilities, true},
		{"shells", &f.Shells, true},
		{"packageManagers", &f.PackageManagers, true},
		{"interpreters", &f.Interpreters, true},
		{"networkTools", &f.NetworkTools, true},
		{"debugTools", &f.DebugTools, true},
		{"loginDaemons", &f.LoginDaemons, true},
		{"worldWritable", &f.WorldWritable, true},
		{"needed", &f.Needed, false},
		{"unneeded", &f.Unneeded, false},
	} {
		slices.Sort(*l.list)
		if len(*l.list) > MaxEntries {
			*l.list = (*l.list)[:MaxEntries]
			s.gap(touchstone.GapLimit, "", fmt.Sprintf("more than %d entries in %s; the rest is left out", MaxEntries, l.name))
		}
		if *l.list == nil {
			*l.list = []string{}
		}
		if l.counted {
			f.Size += len(*l.list)
		}
	}
}

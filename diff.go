package touchstone

import (
	"cmp"
	"slices"
	"strings"
)

// Diff is what changed between two builds: the answer to "touchstone diff".
type Diff struct {
	Schema        string          `json:"schema"` // touchstone.dev/diff/v1
	Tool          string          `json:"tool"`   // "touchstone VERSION"
	From          Artifact        `json:"from"`
	To            Artifact        `json:"to"`
	Layers        LayerChange     `json:"layers"`
	Packages      []PackageChange `json:"packages"`
	Files         FileChanges     `json:"files"`
	Surface       []ListChange    `json:"surface"` // only the lists that changed
	Configuration []SettingChange `json:"configuration"`
	Secrets       SecretChange    `json:"secrets"`
	// Matches is what became of the vulnerabilities; nil when no advisories
	// were asked.
	Matches *MatchChange `json:"matches,omitempty"`
}

// Change says what became of a thing.
type Change string

// The changes.
const (
	Added      Change = "added"
	Removed    Change = "removed"
	Changed    Change = "changed"    // for a package: another version, and the order of the two is not known
	Upgraded   Change = "upgraded"   // a package, to a later version
	Downgraded Change = "downgraded" // a package, to an earlier version
)

// LayerChange compares the layers.
type LayerChange struct {
	From     int   `json:"from"`     // number of layers before
	To       int   `json:"to"`       // number of layers after
	Shared   int   `json:"shared"`   // how many, from the bottom, are the same
	FromSize int64 `json:"fromSize"` // bytes as stored, all layers before
	ToSize   int64 `json:"toSize"`   // bytes as stored, all layers after
}

// PackageChange is what became of one version of a package, wherever it lies.
type PackageChange struct {
	Change    Change   `json:"change"`
	Name      string   `json:"name"`           // as in Package
	Ecosystem string   `json:"ecosystem"`      // as in Package; after, unless it was removed
	From      string   `json:"from,omitempty"` // version before
	To        string   `json:"to,omitempty"`   // version after
	Paths     []string `json:"paths"`          // the files that prove it; those after, unless it was removed
}

// FileChanges is what became of the files.
type FileChanges struct {
	// Known is false when the manifests were not compared.
	Known bool `json:"known"`
	// Executables lists the changes of what can be executed or loaded.
	Executables []FileChange `json:"executables"`
	// Others counts the changes of everything else.
	Others FileCounts `json:"others"`
}

// FileChange is what became of one executable.
type FileChange struct {
	Change Change   `json:"change"`
	Path   string   `json:"path"`           // without a leading slash
	Exec   ExecKind `json:"exec"`           // after, unless it was removed
	From   Digest   `json:"from,omitempty"` // SHA-256 before
	To     Digest   `json:"to,omitempty"`   // SHA-256 after
	// FromMode and ToMode are permission bits with setuid, setgid and sticky.
	FromMode uint32 `json:"fromMode,omitempty"`
	ToMode   uint32 `json:"toMode,omitempty"` // permission bits after
}

// FileCounts counts changes.
type FileCounts struct {
	Added   int `json:"added"`   // files there after and not before
	Removed int `json:"removed"` // files there before and not after
	Changed int `json:"changed"` // files whose bytes, mode, owner or target differ
}

// Note counts or lists the change of one file. from is nil for an added file,
// to for a removed one. Whoever compares sets Known, because there may be
// nothing to note.
func (f *FileChanges) Note(from, to *File) {
	change := Changed
	switch {
	case from == nil && to == nil:
		return
	case from == nil:
		change = Added
	case to == nil:
		change = Removed
	}
	if (from == nil || from.Exec == ExecNone) && (to == nil || to.Exec == ExecNone) {
		switch change {
		case Added:
			f.Others.Added++
		case Removed:
			f.Others.Removed++
		default:
			f.Others.Changed++
		}
		return
	}
	c := FileChange{Change: change}
	if from != nil {
		c.Path, c.Exec, c.From, c.FromMode = from.Path, from.Exec, from.SHA256, from.Mode
	}
	if to != nil {
		c.Path, c.Exec, c.To, c.ToMode = to.Path, to.Exec, to.SHA256, to.Mode
	}
	f.Executables = append(f.Executables, c)
}

// ListChange is what became of one list of the attack surface.
type ListChange struct {
	List    string   `json:"list"`    // its name in the JSON of Surface: "setuid", "shells", …
	Added   []string `json:"added"`   // what it has after and not before
	Removed []string `json:"removed"` // what it had before and not after
}

// SettingChange is what became of one setting of the configuration.
type SettingChange struct {
	Change  Change `json:"change"`
	Setting string `json:"setting"`        // its name in the JSON of Configuration: "user", "labels", …
	Name    string `json:"name,omitempty"` // which variable, port, volume or label
	// From and To are the values before and after. They are empty for
	// environment variables, whose values may be nobody's business.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"` // the value after
}

// SecretChange is what became of secrets left inside.
type SecretChange struct {
	Added   []Secret `json:"added"`
	Removed []Secret `json:"removed"`
}

// MatchChange is what became of the vulnerabilities.
type MatchChange struct {
	New  []Match `json:"new"`  // there after and not before
	Gone []Match `json:"gone"` // there before and not after
	Kept int     `json:"kept"` // there before and after
}

// VersionOrder compares two versions by the rules of an ecosystem ("Debian:12",
// "npm"): negative when a is the earlier. It reports false where the order is
// not known.
type VersionOrder func(ecosystem, a, b string) (int, bool)

// Compare says what changed from one artifact to another, as far as their
// evidence tells; changes of files come from the manifests (FileChanges.Note).
// A nil order leaves upgrades and downgrades as "changed".
func Compare(from, to *Evidence, order VersionOrder) Diff {
	return Diff{
		Schema:        SchemaDiff,
		Layers:        compareLayers(from.Layers, to.Layers),
		Packages:      comparePackages(from.Packages, to.Packages, order),
		Files:         FileChanges{Executables: []FileChange{}},
		Surface:       compareSurface(&from.Surface, &to.Surface),
		Configuration: compareConfiguration(&from.Configuration, &to.Configuration),
		Secrets:       compareSecrets(from.Secrets, to.Secrets),
	}
}

func compareLayers(from, to []Layer) LayerChange {
	c := LayerChange{From: len(from), To: len(to)}
	for c.Shared < min(len(from), len(to)) && from[c.Shared].DiffID != "" && from[c.Shared].DiffID == to[c.Shared].DiffID {
		c.Shared++
	}
	for i := range from {
		c.FromSize += from[i].Size
	}
	for i := range to {
		c.ToSize += to[i].Size
	}
	return c
}

// onlyIn returns what a has and b has not, sorted, each once.
func onlyIn(a, b []string) []string {
	has := make(map[string]bool, len(b))
	for _, s := range b {
		has[s] = true
	}
	out := []string{}
	for _, s := range a {
		if !has[s] {
			out = append(out, s)
			has[s] = true
		}
	}
	slices.Sort(out)
	return out
}

// Lists returns the lists of the surface with their JSON names, in the order in
// which people read them.
func (s *Surface) Lists() []NamedList {
	return []NamedList{
		{"setuid", s.Setuid},
		{"capabilities", s.Capabilities},
		{"shells", s.Shells},
		{"packageManagers", s.PackageManagers},
		{"interpreters", s.Interpreters},
		{"networkTools", s.NetworkTools},
		{"debugTools", s.DebugTools},
		{"loginDaemons", s.LoginDaemons},
		{"worldWritable", s.WorldWritable},
		{"needed", s.Needed},
		{"unneeded", s.Unneeded},
	}
}

// NamedList is one list of the surface.
type NamedList struct {
	Name  string
	Items []string
}

func compareSurface(from, to *Surface) []ListChange {
	out := []ListChange{}
	before := from.Lists()
	for i, after := range to.Lists() {
		c := ListChange{List: after.Name, Added: onlyIn(after.Items, before[i].Items), Removed: onlyIn(before[i].Items, after.Items)}
		if len(c.Added)+len(c.Removed) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func compareConfiguration(from, to *Configuration) []SettingChange {
	out := []SettingChange{}
	one := func(setting, before, after string) {
		if before != after {
			out = append(out, SettingChange{Change: Changed, Setting: setting, From: before, To: after})
		}
	}
	one("user", from.User, to.User)
	one("userID", from.UserID, to.UserID)
	one("entrypoint", strings.Join(from.Entrypoint, " "), strings.Join(to.Entrypoint, " "))
	one("command", strings.Join(from.Command, " "), strings.Join(to.Command, " "))
	one("workingDir", from.WorkingDir, to.WorkingDir)
	one("architecture", from.Architecture, to.Architecture)
	out = append(out, compareSettings("environment", variables(from.Environment), variables(to.Environment), false)...)
	out = append(out, compareSettings("ports", set(from.Ports), set(to.Ports), false)...)
	out = append(out, compareSettings("volumes", set(from.Volumes), set(to.Volumes), false)...)
	return append(out, compareSettings("labels", from.Labels, to.Labels, true)...)
}

// compareSettings compares named settings; values are shown only where asked.
func compareSettings(setting string, from, to map[string]string, show bool) []SettingChange {
	var out []SettingChange
	file := func(change Change, name, before, after string) {
		if !show {
			before, after = "", ""
		}
		out = append(out, SettingChange{Change: change, Setting: setting, Name: name, From: before, To: after})
	}
	for name, before := range from {
		after, there := to[name]
		switch {
		case !there:
			file(Removed, name, before, "")
		case after != before:
			file(Changed, name, before, after)
		}
	}
	for name, after := range to {
		if _, there := from[name]; !there {
			file(Added, name, "", after)
		}
	}
	slices.SortFunc(out, func(a, b SettingChange) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func variables(environment []string) map[string]string {
	m := make(map[string]string, len(environment))
	for _, e := range environment {
		name, value, _ := strings.Cut(e, "=")
		m[name] = value
	}
	return m
}

func set(names []string) map[string]string {
	m := make(map[string]string, len(names))
	for _, n := range names {
		m[n] = ""
	}
	return m
}

// compareSecrets tells secrets apart by kind and fingerprint, so that one that
// only moved is neither new nor gone.
func compareSecrets(from, to []Secret) SecretChange {
	only := func(a, b []Secret) []Secret {
		type key struct{ kind, fingerprint string }
		has := map[key]bool{}
		for i := range b {
			has[key{b[i].Kind, b[i].Fingerprint}] = true
		}
		out := []Secret{}
		for i := range a {
			if !has[key{a[i].Kind, a[i].Fingerprint}] {
				out = append(out, a[i])
			}
		}
		return out
	}
	return SecretChange{Added: only(to, from), Removed: only(from, to)}
}

// CompareMatches says which vulnerabilities are new and which are gone. One is
// the same when a name of it, alias or not, is found on the same package.
func CompareMatches(from, to []Match) *MatchChange {
	type key struct{ name, pkg string }
	index := func(matches []Match) map[key]bool {
		m := make(map[key]bool, 2*len(matches))
		for i := range matches {
			m[key{matches[i].ID, matches[i].Package.Name}] = true
			for _, a := range matches[i].Aliases {
				m[key{a, matches[i].Package.Name}] = true
			}
		}
		return m
	}
	there := func(m *Match, in map[key]bool) bool {
		if in[key{m.ID, m.Package.Name}] {
			return true
		}
		return slices.ContainsFunc(m.Aliases, func(a string) bool { return in[key{a, m.Package.Name}] })
	}
	before, after := index(from), index(to)
	c := &MatchChange{New: []Match{}, Gone: []Match{}}
	for i := range to {
		if there(&to[i], before) {
			c.Kept++
		} else {
			c.New = append(c.New, to[i])
		}
	}
	for i := range from {
		if !there(&from[i], after) {
			c.Gone = append(c.Gone, from[i])
		}
	}
	return c
}

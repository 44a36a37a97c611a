package surface

import "strings"

// category is one list of the surface that goes by what a program is for.
type category int

const (
	shells category = iota
	packageManagers
	interpreters
	networkTools
	debugTools
	loginDaemons
	categories // their number
)

// tool is one row of the tables: a program and why it is listed.
type tool struct {
	name string
	// versions is true where the name is also found with a version behind it:
	// "python3.11", "gcc-12".
	versions bool
	why      string
}

// toolbox finds the category of a program by its name.
type toolbox map[string]struct {
	category category
	versions bool
}

func newToolbox() toolbox {
	box := toolbox{}
	for c, table := range [categories][]tool{
		shells:          shellTable(),
		packageManagers: managerTable(),
		interpreters:    interpreterTable(),
		networkTools:    networkTable(),
		debugTools:      debugTable(),
		loginDaemons:    loginTable(),
	} {
		for _, t := range table {
			row := box[t.name]
			row.category, row.versions = category(c), t.versions
			box[t.name] = row
		}
	}
	return box
}

// find returns the category of a program called base, the last part of its
// path.
func (box toolbox) find(base string) (category, bool) {
	if row, ok := box[base]; ok {
		return row.category, true
	}
	name := base
	// Compilers carry the machine that they compile for in front (GNU triplet):
	// x86_64-linux-gnu-gcc-12. Others carry it behind: perl5.36-x86_64-linux-gnu.
	if i := strings.Index(name, "-linux-"); i >= 0 {
		if _, after, ok := strings.Cut(name[i+len("-linux-"):], "-"); ok {
			name = after
		} else {
			name, _, _ = strings.Cut(name, "-")
		}
		if row, ok := box[name]; ok {
			return row.category, true
		}
	}
	row, ok := box[unversioned(name)]
	return row.category, ok && row.versions
}

// unversioned removes a version at the end of a name: digits and dots, with a
// "-" before them and the letters of a variant of Python after them
// (python3.13t), or "-dbg".
func unversioned(name string) string {
	s := strings.TrimRight(strings.TrimSuffix(name, "-dbg"), "dmut")
	t := strings.TrimRight(s, "0123456789.")
	if t == s {
		return name
	}
	return strings.TrimSuffix(t, "-")
}

// namesakes reports whether files in the place of this path are named after
// programs without being them: configuration, init and cron scripts, completions,
// documentation, and the methods of apt, which run nothing but for apt. Programs
// that do lie under usr/share are found by the links that lead there.
func namesakes(name string) bool {
	for _, place := range []string{"etc/", "usr/share/", "usr/lib/apt/methods/", "var/lib/"} {
		if strings.HasPrefix(name, place) {
			return true
		}
	}
	return false
}

// multiCall reports whether the program has many programs inside, chosen by the
// name that it is called by.
func multiCall(base string) bool {
	switch base {
	case "busybox", "busybox.static", "busybox-extras", "toybox":
		return true
	}
	return false
}

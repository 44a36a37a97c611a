package pin

import (
	"regexp"
	"strings"
)

// upgrade reports a command that takes the newest of everything.
func (j *judge) upgrade(tool string, w word, command string) {
	j.plain(w, tool, command, "each build takes the newest of every package",
		"leave it out and build on a newer base, named by digest")
}

// isLocal reports whether an operand is a file of the build itself.
func isLocal(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || s == "." || s == ".."
}

// apt judges apt(8), apt-get(8) and aptitude(8): NAME[:ARCH][=VERSION|/RELEASE].
func (j *judge) apt(args []word) {
	const valued = "-o --option -c --config-file -t --target-release --default-release -a --host-architecture -P --build-profiles"
	command, operands := parse(args, valued).command()
	switch command {
	case "upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade":
		j.upgrade("apt", j.args[0], j.name()+" "+command)
	case "build-dep":
		for _, w := range operands {
			j.spec(spec{tool: "apt", word: w, name: w.s, not: "what it takes to build " + w.show() + " changes with it; name those packages"})
		}
	case "install", "reinstall":
		for _, w := range operands {
			j.aptPackage(w)
		}
		j.fromList("apt")
	}
}

func (j *judge) aptPackage(w word) {
	if w.s == "" || isLocal(w.s) || strings.HasSuffix(w.s, "-") || strings.HasSuffix(w.s, ".deb") && w.known() && !isURL(w.s) {
		return // a file, or a package that is removed
	}
	s := spec{tool: "apt", word: w, name: w.s, from: len(w.s), to: len(w.s), before: "="}
	if i := strings.IndexByte(w.s, '='); i >= 0 {
		s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
		s.exact = s.version != "" && !strings.Contains(s.version, "*")
	} else if i := strings.IndexByte(w.s, '/'); i >= 0 {
		s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
		s.why = "a release of the distribution is no version: each build takes the newest in it"
	}
	if strings.HasSuffix(s.name, "^") {
		s.why, s.not = "a task: which packages it means changes", "write out the packages of the task"
	}
	s.name = strings.TrimSuffix(s.name, "+")
	j.spec(s)
}

// apk judges apk(8): NAME[{=,<,>,~}VERSION][@REPOSITORY] (apk-world(5)).
func (j *judge) apk(args []word) {
	const valued = "-t --virtual -X --repository -p --root --keys-dir --repositories-file --wait --cache-dir --cache-max-age --arch --progress-fd --timeout"
	l := parse(args, valued)
	command, operands := l.command()
	switch command {
	case "upgrade":
		j.upgrade("apk", j.args[0], "apk upgrade")
	case "add":
		for _, w := range operands {
			j.apkPackage(w)
		}
		j.fromList("apk")
	}
}

func (j *judge) apkPackage(w word) {
	if w.s == "" || w.s[0] == '!' || w.s[0] == '.' || strings.HasSuffix(w.s, ".apk") && isLocal(w.s) {
		return // a conflict, a virtual package, a file
	}
	s := spec{tool: "apk", word: w, name: w.s, from: len(w.s), to: len(w.s), before: "="}
	if i := strings.LastIndexByte(w.s, '@'); i > 0 {
		s.to, s.from, s.name = i, i, w.s[:i]
	}
	if i := strings.IndexAny(s.name, "=<>~"); i >= 0 {
		op := s.name[i:]
		s.version = strings.TrimLeft(op, "=<>~")
		s.exact = strings.HasPrefix(op, "=") && !strings.HasPrefix(op, "=~") && s.version != ""
		s.name, s.from = s.name[:i], i
		if s.version == "" {
			s.version = op
		}
	}
	if strings.Contains(s.name, ":") || strings.HasPrefix(s.name, "/") {
		s.not = "name the package that provides it, with its version"
	}
	j.spec(s)
}

// release finds the version and release at the end of NAME-VERSION-RELEASE[.ARCH].
var release = regexp.MustCompile(`^(.+?)-((?:\d+:)?\d[^-/]*-\d[^-/]*)$`)

// partial is NAME-VERSION without a release.
var partial = regexp.MustCompile(`^(.+?)-((?:\d+:)?\d[^-/]*)$`)

// architecture is what may follow the name or release of an rpm package.
var architecture = regexp.MustCompile(`\.(x86_64|aarch64|noarch|i[3-6]86|ppc64le|s390x|armv7hl|riscv64|src)$`)

// dnf judges dnf(8), yum(8), microdnf and tdnf: dnf's "Specifying packages".
func (j *judge) dnf(tool string, args []word) {
	const valued = "-c --config -x --exclude --enablerepo --disablerepo --repo --repoid --releasever --installroot --setopt --forcearch --advisory --comment -d -e -R"
	command, operands := parse(args, valued).command()
	switch command {
	case "upgrade", "update", "distro-sync", "upgrade-minimal", "update-minimal":
		if len(operands) == 0 {
			j.upgrade(tool, j.args[0], tool+" "+command)
			return
		}
		fallthrough
	case "install", "reinstall", "localinstall", "downgrade":
		for _, w := range operands {
			j.rpmPackage(tool, w)
		}
		j.fromList(tool)
	case "groupinstall", "group", "module":
		j.group(tool, command, operands)
	}
}

// group reports a named set of packages, whose members change.
func (j *judge) group(tool, command string, operands []word) {
	if command != "groupinstall" {
		if len(operands) == 0 || operands[0].s != "install" {
			return
		}
		operands = operands[1:]
	}
	for _, w := range operands {
		j.plain(w, tool, w.show(), "a group or stream: which packages it means, in which versions, changes",
			"install the packages by name and version")
	}
}

func (j *judge) rpmPackage(tool string, w word) {
	if w.s == "" {
		return
	}
	if isURL(w.s) {
		if !addressed(w.s) {
			j.plain(w, tool, clean(w.show()), "what lies at the URL can change",
				"download it, check its sha256sum, and install the file")
		}
		return
	}
	if isLocal(w.s) || strings.HasSuffix(w.s, ".rpm") && w.known() {
		return
	}
	if w.s[0] == '@' {
		j.group(tool, "groupinstall", []word{w})
		return
	}
	j.spec(rpmSpec(tool, w))
}

// rpmSpec reads NAME[-VERSION-RELEASE][.ARCH], or NAME=VERSION-RELEASE as
// zypper has it.
func rpmSpec(tool string, w word) spec {
	base := w.s
	if m := architecture.FindStringIndex(base); m != nil {
		base = base[:m[0]]
	}
	s := spec{tool: tool, word: w, name: base, from: len(base), to: len(base), before: "-"}
	if tool == "zypper" {
		s.before = "="
		if i := strings.IndexAny(base, "=<>~"); i >= 0 {
			s.name, s.from, s.version = base[:i], i, strings.TrimLeft(base[i:], "=<>~")
			s.exact = base[i] == '=' && strings.Contains(s.version, "-")
			return s
		}
	}
	if m := release.FindStringSubmatchIndex(base); m != nil {
		s.name, s.version, s.from = base[:m[3]], base[m[4]:], m[3]
		s.exact = !strings.ContainsAny(s.version, "*?[")
	} else if m := partial.FindStringSubmatchIndex(base); m != nil {
		s.name, s.version, s.from = base[:m[3]], base[m[4]:], m[3]
	} else if name, _, ok := strings.Cut(base, unknown); ok {
		if last := strings.LastIndexByte(name, '-'); last > 0 { // NAME-$VERSION
			s.name, s.version, s.from = base[:last], base[last+1:], last
		}
	}
	return s
}

// zypper judges zypper(8): NAME[=VERSION-RELEASE].
func (j *judge) zypper(args []word) {
	command, operands := parse(args, "-R --root -c --config -D --reposd-dir -C --cache-dir --releasever -r --repo --from -t --type -p --plus-repo").command()
	switch command {
	case "update", "up", "dist-upgrade", "dup", "patch":
		if len(operands) == 0 {
			j.upgrade("zypper", j.args[0], "zypper "+command)
			return
		}
		fallthrough
	case "install", "in":
		for _, w := range operands {
			if strings.HasPrefix(w.s, "pattern:") {
				j.group("zypper", "groupinstall", []word{w})
				continue
			}
			if strings.HasPrefix(w.s, "-") || strings.HasPrefix(w.s, "!") {
				continue
			}
			j.rpmPackage("zypper", w)
		}
		j.fromList("zypper")
	}
}

// rpm judges rpm(8), which takes files and URLs; packages have no other names there.
func (j *judge) rpm(args []word) {
	l := parse(args, "--root --dbpath --define -D -E --eval --prefix --relocate")
	if !l.has("-i", "-U", "-F", "--install", "--upgrade", "--freshen", "--import") {
		return
	}
	for _, w := range l.operands {
		if isURL(w.s) {
			j.rpmPackage("rpm", w)
		}
	}
}

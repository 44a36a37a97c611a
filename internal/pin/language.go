package pin

import (
	"regexp"
	"strings"
)

// exactGem is one version of a gem: no operator before it.
var exactGem = regexp.MustCompile(`^(= ?)?\d+(\.[0-9A-Za-z]+)*(-[0-9A-Za-z.-]+)?$`)

// gem judges gem install NAME[:VERSION] and -v VERSION.
func (j *judge) gem(args []word) {
	const valued = "-v --version -i --install-dir -n --bindir -s --source -P --trust-policy -p --http-proxy --build-root --platform -g --file -B"
	l := parse(args, valued)
	command, operands := l.command()
	switch command {
	case "update":
		j.upgrade("gem", j.args[0], "gem update")
	case "install":
		versions := l.values("-v", "--version")
		for _, w := range operands {
			if strings.HasSuffix(w.s, ".gem") {
				continue
			}
			s := spec{tool: "gem", word: w, name: w.s, from: len(w.s), to: len(w.s), before: ":"}
			if i := strings.IndexByte(w.s, ':'); i > 0 {
				s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
			} else if len(versions) > 0 {
				s.version, s.show = versions[0].s, w.show()
				s.word, s.from, s.to, s.before = versions[0], 0, len(versions[0].s), ""
				s.fix = "name one version: -v VERSION"
				if len(operands) > 1 {
					s.not = "one -v stands for several gems; name each as NAME:VERSION"
				}
			}
			s.exact = exactGem.MatchString(s.version)
			j.spec(s)
		}
		j.fromList("gem")
	}
}

// exactGo is a version of a module that the checksum database holds to one
// content (Go modules reference, "Versions"), or a commit.
var exactGo = regexp.MustCompile(`^(v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?|[0-9a-f]{12,40})$`)

// golang judges go install, go run and go get of PACKAGE@VERSION. Without a
// version they take what go.mod and go.sum say.
func (j *judge) golang(args []word) {
	for len(args) > 0 && strings.HasPrefix(args[0].s, "-C") {
		args = args[min(len(args), 2):]
	}
	if len(args) == 0 {
		return
	}
	command := args[0].s
	if command != "install" && command != "run" && command != "get" {
		return
	}
	operands := goOperands(args[1:])
	if command == "run" && len(operands) > 1 {
		operands = operands[:1]
	}
	for _, w := range operands {
		i := strings.LastIndexByte(w.s, '@')
		if i < 0 && (command != "get" || isLocal(w.s) || !strings.Contains(w.s, ".")) {
			continue
		}
		s := spec{tool: "go", word: w, name: w.s, from: len(w.s), to: len(w.s), before: "@"}
		if i >= 0 {
			s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
			s.exact = exactGo.MatchString(s.version)
		}
		j.spec(s)
	}
}

// goOperands drops the build flags (go help build), whose values may stand apart.
func goOperands(args []word) []word {
	const valued = " -p -o -asmflags -buildmode -buildvcs -compiler -gccgoflags -gcflags -installsuffix -ldflags -mod -modfile -overlay -pgo -pkgdir -tags -toolexec -exec -C -covermode -coverpkg "
	for len(args) > 0 && strings.HasPrefix(args[0].s, "-") {
		name := args[0].s
		if strings.HasPrefix(name, "--") {
			name = name[1:]
		}
		args = args[1:]
		if strings.Contains(valued, " "+name+" ") && len(args) > 0 {
			args = args[1:]
		}
	}
	return args
}

// exactCargo is a version that cargo takes as it is: without an operator it
// must have three parts (cargo-install(1), --version).
var exactCargo = regexp.MustCompile(`^=? ?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// cargo judges cargo install and cargo binstall.
func (j *judge) cargo(args []word) {
	const valued = "--version --vers --git --branch --tag --rev --path --index --registry --root -F --features --target --target-dir --profile --bin --example -j --jobs --color -Z --config -C"
	if len(args) > 0 && strings.HasPrefix(args[0].s, "+") {
		args = args[1:] // the toolchain
	}
	l := parse(args, valued)
	command, operands := l.command()
	if command != "install" && command != "binstall" || len(l.values("--path")) > 0 {
		return
	}
	if git := l.values("--git"); len(git) > 0 {
		if rev := l.values("--rev"); len(rev) == 0 || !isCommit(rev[0].s) {
			j.plain(git[0], "cargo", clean(git[0].show()), "a branch or tag can be moved to another commit",
				"name the commit: --rev with all 40 digits of it, and --locked")
		}
		return
	}
	versions := l.values("--version", "--vers")
	for _, w := range operands {
		s := spec{tool: "cargo", word: w, name: w.s, from: len(w.s), to: len(w.s), before: "@"}
		if i := strings.IndexByte(w.s, '@'); i > 0 {
			s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
		} else if len(versions) > 0 {
			s.version, s.show = versions[0].s, w.show()
			s.word, s.from, s.to, s.before = versions[0], 0, len(versions[0].s), ""
			s.fix = "name one version: --version VERSION, and --locked"
			if len(operands) > 1 {
				s.not = "one --version stands for several crates; name each as NAME@VERSION"
			}
		}
		s.exact = exactCargo.MatchString(s.version)
		j.spec(s)
	}
	j.fromList("cargo")
}

// exactComposer is one version of a package of Packagist.
var exactComposer = regexp.MustCompile(`^=?v?\d+(\.\d+){2,3}(-[0-9A-Za-z.]+)?$`)

// composer judges composer require, update and create-project. composer
// install takes what composer.lock says.
func (j *judge) composer(args []word) {
	l := parse(args, "-d --working-dir --ignore-platform-req --repository --stability -s")
	command, operands := l.command()
	if command == "global" && len(operands) > 0 {
		command, operands = operands[0].s, operands[1:]
	}
	switch command {
	case "update", "upgrade", "u":
		j.upgrade("composer", j.args[0], "composer "+command)
	case "create-project":
		if len(operands) > 2 && exactComposer.MatchString(operands[2].s) {
			return
		}
		if len(operands) > 1 {
			operands = operands[:1]
		}
		fallthrough
	case "require", "req", "r":
		for _, w := range operands {
			if !strings.Contains(w.s, "/") && !strings.Contains(w.s, unknown) {
				continue
			}
			s := spec{tool: "composer", word: w, name: w.s, from: len(w.s), to: len(w.s), before: ":"}
			if i := strings.IndexAny(w.s, ":="); i > 0 {
				s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
				s.exact = exactComposer.MatchString(s.version)
			}
			j.spec(s)
		}
		j.fromList("composer")
	}
}

// pecl judges pecl install NAME[-VERSION].
func (j *judge) pecl(args []word) {
	command, operands := parse(args, "-D -R --configureoptions").command()
	if command != "install" && command != "upgrade" {
		return
	}
	for _, w := range operands {
		if isLocal(w.s) {
			continue
		}
		s := spec{tool: "pecl", word: w, name: w.s, from: len(w.s), to: len(w.s), before: "-"}
		if i := strings.LastIndexByte(w.s, '-'); i > 0 {
			s.name, s.version, s.from = w.s[:i], w.s[i+1:], i
			s.exact = strings.Trim(s.version[:1], "0123456789") == "" && len(s.version) > 1
		}
		j.spec(s)
	}
}

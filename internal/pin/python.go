package pin

import (
	"regexp"
	"strings"
)

// Options of pip that take a value (pip install --help, 24).
const pipValued = "-r --requirement -c --constraint -e --editable -i --index-url --extra-index-url -f --find-links -t --target " +
	"--prefix --root --python --platform --python-version --implementation --abi --src --upgrade-strategy -C --config-settings " +
	"--config-setting --global-option --build-option --install-option --progress-bar --report --trusted-host --cert --client-cert --cache-dir " +
	"--log --proxy --retries --timeout --no-binary --only-binary --exists-action --root-user-action --use-feature " +
	"--use-deprecated --keyring-provider --group -p --index --default-index --index-strategy --resolution --prerelease --exclude-newer"

// pythonModule judges python -m pip and the like.
func (j *judge) pythonModule(args []word) {
	for i, a := range args {
		if a.s == "-m" && i+1 < len(args) {
			rest := args[i+2:]
			switch args[i+1].s {
			case "pip":
				j.pip("pip", rest)
			case "pipx":
				j.pipx(rest)
			case "uv":
				j.uv(rest)
			case "pipenv", "poetry":
				j.lockedPython(args[i+1].s, rest)
			}
			return
		}
		if !strings.HasPrefix(a.s, "-") {
			return
		}
	}
}

// pip judges pip install, and uv pip install, which takes the same words.
func (j *judge) pip(tool string, args []word) {
	l := parse(args, pipValued)
	command, operands := l.command()
	if tool == "uv" && command == "sync" {
		if !l.has("--require-hashes") {
			j.requirements(tool, operands)
		}
		return
	}
	if command != "install" && command != "download" && command != "wheel" {
		return
	}
	if l.has("--no-index") {
		return // takes files of the build alone; they are judged where they come from
	}
	if !l.has("--require-hashes") {
		j.requirements(tool, l.values("-r", "--requirement"))
	}
	for _, w := range append(l.values("-e", "--editable"), operands...) {
		j.pipPackage(tool, w, l.has("--no-deps"))
	}
	j.fromList(tool)
}

// requirements reports a file of requirements that is not held to hashes. The
// file is not part of what is read here, and even exact versions in it leave
// open which file the index gives for them.
func (j *judge) requirements(tool string, files []word) {
	for _, w := range files {
		j.plain(w, tool, "-r "+clean(w.show()),
			"what the file asks for is not read here, and without hashes pip takes whatever the index gives for a version",
			"write exact versions with hashes into it (pip-compile --generate-hashes, uv pip compile --generate-hashes) and add --require-hashes")
	}
}

// requirement is PEP 508's name [extras] with what follows it.
var requirement = regexp.MustCompile(`^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*(.*?)\s*$`)

// operators are the version specifiers of PEP 440.
var operators = regexp.MustCompile(`^(===|==|~=|!=|<=|>=|<|>)`)

func (j *judge) pipPackage(tool string, w word, noDeps bool) {
	s := w.s
	local := isLocal(s) || strings.HasPrefix(s, "file:")
	switch {
	case s == "" || strings.HasSuffix(s, ".whl") && !isURL(s) || strings.HasSuffix(s, ".tar.gz") && !isURL(s) || strings.HasSuffix(s, ".zip") && !isURL(s):
		return // a file of the build
	case local || strings.HasPrefix(s, ".["):
		if !noDeps {
			j.plain(w, tool, clean(w.show()), "what the project asks for is resolved anew by each build",
				"install what it needs from a file with hashes first, then the project with --no-deps")
		}
		return
	}
	if i := strings.Index(s, " @ "); i >= 0 {
		s = strings.TrimSpace(s[i+3:])
	} else if i := strings.IndexByte(s, '@'); i > 0 && strings.Contains(s[i:], "://") && nameOnly(s[:i]) {
		s = s[i+1:]
	}
	if strings.Contains(s, "://") || strings.HasPrefix(s, "git+") {
		j.pipURL(tool, w, s)
		return
	}
	j.spec(pipSpec(tool, w))
}

func nameOnly(s string) bool {
	m := requirement.FindStringSubmatch(s)
	return m != nil && m[3] == ""
}

// pipURL judges a package by URL: a commit or a hash makes it exact.
func (j *judge) pipURL(tool string, w word, u string) {
	main, fragment, _ := strings.Cut(u, "#")
	if strings.Contains(fragment, "sha256=") || strings.Contains(fragment, "sha512=") || strings.Contains(fragment, "sha384=") {
		return
	}
	if plus := strings.IndexByte(main, '+'); plus >= 0 && plus < strings.Index(main, "://") {
		if i := strings.LastIndexByte(main, '@'); i >= 0 && isCommit(main[i+1:]) {
			return
		}
		j.plain(w, tool, clean(w.show()), "a branch or tag can be moved to another commit", "name the commit behind @, all 40 digits of it")
		return
	}
	if addressed(main) {
		return
	}
	j.plain(w, tool, clean(w.show()), "what lies at the URL can change", "add its hash: #sha256=…")
}

// pipSpec reads NAME[extras] SPECIFIERS; MARKERS (PEP 508).
func pipSpec(tool string, w word) spec {
	s := spec{tool: tool, word: w, name: w.s, from: len(w.s), to: len(w.s), before: "=="}
	main := w.s
	if i := strings.IndexByte(main, ';'); i >= 0 {
		main = strings.TrimRight(main[:i], " ")
		s.to = len(main)
	}
	m := requirement.FindStringSubmatchIndex(main)
	if m == nil {
		if i := strings.IndexAny(main, "=<>~!"); i > 0 {
			s.name, s.version = main[:i], main[i:]
		}
		return s
	}
	s.name, s.version = normalised(main[m[2]:m[3]]), main[m[6]:m[7]]
	s.from, s.to = m[3], m[7]
	if m[5] > 0 {
		s.from = m[5]
	}
	if s.version == "" {
		s.to = s.from
		return s
	}
	if tool == "uv" && strings.HasPrefix(s.version, "@") { // uv tool install ruff@0.4.1
		s.before = "@"
		s.exact = exactPython.MatchString(s.version[1:])
		return s
	}
	op := operators.FindString(s.version)
	v := strings.TrimSpace(s.version[len(op):])
	s.exact = (op == "==" || op == "===") && v != "" && !strings.ContainsAny(v, "*,")
	return s
}

var exactPython = regexp.MustCompile(`^\d+(\.\d+)+([._-]?[A-Za-z0-9]+)*$`)

// normalised is a name as PyPI knows it (PEP 503).
func normalised(name string) string {
	return strings.ToLower(runs.ReplaceAllString(name, "-"))
}

var runs = regexp.MustCompile(`[-_.]+`)

// uv judges uv pip, uv tool, uv sync and uv add.
func (j *judge) uv(args []word) {
	l := parse(args, pipValued+" --project --directory --with --from --extra")
	command, operands := l.command()
	switch command {
	case "pip":
		rest := args[1:]
		for i, a := range args {
			if a.s == "pip" {
				rest = args[i+1:]
				break
			}
		}
		j.pip("uv", rest)
	case "tool":
		if len(operands) > 0 && (operands[0].s == "install" || operands[0].s == "run") {
			for i, a := range args {
				if a.s == operands[0].s {
					j.toolRun("uv", args[i+1:])
					return
				}
			}
		}
	case "sync":
		if !l.has("--frozen", "--locked") {
			j.plain(j.args[0], "uv", "uv sync", "the lock file is changed where it does not fit", "add --locked")
		}
	case "add":
		for _, w := range operands {
			j.pipPackage("uv", w, false)
		}
	}
}

// toolRun judges what installs or runs one program: uv tool, uvx, pipx.
func (j *judge) toolRun(tool string, args []word) {
	l := parse(args, pipValued+" --with --from --spec --suffix --pip-args --preinstall")
	given := append(l.values("--from", "--spec"), l.values("--with")...)
	for _, w := range given {
		j.pipPackage(tool, w, false)
	}
	if len(l.values("--from", "--spec")) == 0 && len(l.operands) > 0 {
		j.pipPackage(tool, l.operands[0], false)
	}
}

func (j *judge) pipx(args []word) {
	l := parse(args, pipValued+" --spec --suffix --pip-args --preinstall")
	command, operands := l.command()
	switch command {
	case "install", "inject":
		if command == "inject" && len(operands) > 0 {
			operands = operands[1:]
		}
		for _, w := range operands {
			j.pipPackage("pipx", w, false)
		}
		j.fromList("pipx")
	case "run":
		for i, a := range args {
			if a.s == "run" {
				j.toolRun("pipx", args[i+1:])
				return
			}
		}
	case "upgrade", "upgrade-all":
		j.upgrade("pipx", j.args[0], "pipx "+command)
	}
}

// lockedPython judges pipenv and poetry, which install what their lock file
// says unless they are told to change it.
func (j *judge) lockedPython(tool string, args []word) {
	l := parse(args, "--python --group -G --with --without --only -E --extras -C --directory --categories")
	command, operands := l.command()
	switch {
	case command == "update", command == "add", command == "upgrade", tool == "pipenv" && command == "install" && len(operands) > 0:
		j.plain(j.args[0], tool, tool+" "+command, "versions are resolved anew by each build",
			"do it where the lock file is kept, and install from that here")
	case tool == "pipenv" && command == "install" && !l.has("--deploy", "--ignore-pipfile"):
		j.plain(j.args[0], tool, "pipenv install", "the lock file is changed where it does not fit", "use pipenv sync, or add --deploy")
	}
}

// conda judges conda and mamba: NAME=VERSION=BUILD or NAME==VERSION.
func (j *judge) conda(tool string, args []word) {
	l := parse(args, "-n --name -p --prefix -c --channel -f --file --solver -r --root-prefix --platform")
	command, operands := l.command()
	if command == "env" && len(operands) > 0 {
		command = operands[0].s
		operands = nil
	}
	switch command {
	case "update", "upgrade":
		j.upgrade(tool, j.args[0], tool+" "+command)
	case "install", "create":
		for _, w := range l.values("-f", "--file") {
			j.plain(w, tool, "-f "+w.show(), "what the file asks for is not read here", "use a file made by conda-lock, or by conda list --explicit")
		}
		for _, w := range operands {
			j.condaPackage(tool, w)
		}
		j.fromList(tool)
	}
}

func (j *judge) condaPackage(tool string, w word) {
	if w.s == "" || isLocal(w.s) {
		return
	}
	s := spec{tool: tool, word: w, name: w.s, from: len(w.s), to: len(w.s), before: "=="}
	if i := strings.IndexAny(w.s, "=<>~!"); i >= 0 {
		s.name, s.version, s.from = w.s[:i], w.s[i:], i
		v := strings.TrimLeft(s.version, "=")
		s.exact = s.version[0] == '=' && !strings.ContainsAny(v, "*,|<>") && (strings.HasPrefix(s.version, "==") || strings.Contains(v, "="))
	}
	if i := strings.LastIndex(s.name, "::"); i >= 0 {
		s.name = s.name[i+2:]
	}
	j.spec(s)
}

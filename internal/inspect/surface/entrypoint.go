package surface

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"touchstone.dev/touchstone"
)

const (
	// defaultPath is the PATH of a container that sets none.
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// maxNesting bounds interpreters that start interpreters; Linux stops at 5.
	maxNesting = 16
	// maxScript is the longest text after "sh -c" that is read.
	maxScript = 16 << 10
	maxRoots  = 64
)

// launch finds the files that are executed when an artifact is started.
type launch struct {
	walk    *walker
	files   map[string]executable
	path    []string // folders of PATH
	workdir string
	roots   []string
}

func newLaunch(s *survey, cfg *touchstone.Configuration) *launch {
	l := &launch{walk: &s.walk, files: s.files, workdir: cfg.WorkingDir}
	search := defaultPath
	if p, ok := variable(cfg.Environment, "PATH"); ok {
		search = p
	}
	l.path = strings.Split(search, ":")
	return l
}

// variable returns the last value that the environment gives the name.
func variable(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if n, v, ok := strings.Cut(env[i], "="); ok && n == name {
			return v, true
		}
	}
	return "", false
}

// run follows a command line to the files that it executes: through symbolic
// links, shebangs, programs that only start others (env, tini, gosu) and simple
// shell commands. It reports whether every one of them was found. What a
// program or a script file starts by itself is not followed.
func (l *launch) run(argv []string, depth int) bool {
	if len(argv) == 0 || depth > maxNesting || len(l.roots) >= maxRoots {
		return false
	}
	name, ok := l.program(argv[0])
	if !ok {
		return false
	}
	l.roots = append(l.roots, name)
	if x := l.files[name]; x.Exec == touchstone.ExecScript {
		inner := []string{x.Interp}
		if x.Argument != "" {
			inner = append(inner, x.Argument)
		}
		// Scripts such as docker-entrypoint.sh end by executing their own
		// arguments; where those are no program, nothing is lost.
		if len(argv) > 1 && !strings.HasPrefix(argv[1], "-") {
			l.run(argv[1:], depth+1)
		}
		return l.run(append(inner, "/"+name), depth+1)
	}
	called := path.Base(argv[0])
	if multiCall(called) && len(argv) > 1 {
		argv = argv[1:]
		called = argv[0]
	}
	if inner, ok := startedBy(called, argv[1:]); ok {
		return l.run(inner, depth+1)
	}
	if script, ok := shellCommand(called, argv[1:]); ok {
		return l.shell(script, depth+1)
	}
	return true
}

// program finds the file of a command as execvp(3) does.
func (l *launch) program(command string) (string, bool) {
	if command == "" {
		return "", false
	}
	if strings.Contains(command, "/") {
		return l.executable(l.absolute(command))
	}
	for _, dir := range l.path {
		if name, ok := l.executable(l.absolute(dir + "/" + command)); ok {
			return name, true
		}
	}
	return "", false
}

func (l *launch) absolute(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return l.workdir + "/" + name
}

func (l *launch) executable(name string) (string, bool) {
	f, ok := l.walk.file(name)
	if !ok || f.Kind != touchstone.FileRegular || f.Mode&modeExecute == 0 {
		return "", false
	}
	x, ok := l.files[f.Path]
	return f.Path, ok && x.Exec != touchstone.ExecNone
}

// starter describes a program that starts another: its options that take a
// separate value, and how many arguments lie before the command.
type starter struct {
	valued string // letters of such options
	before int
}

// startedBy returns the command line that a program such as env or tini
// executes, given its arguments. ok is false for all other programs.
func startedBy(program string, args []string) (inner []string, ok bool) {
	starters := map[string]starter{
		"env":         {valued: "uC"},
		"tini":        {valued: "ep"},
		"tini-static": {valued: "ep"},
		"docker-init": {valued: "ep"},
		"dumb-init":   {valued: "r"},
		"catatonit":   {},
		"gosu":        {before: 1},
		"su-exec":     {before: 1},
		"nice":        {valued: "n"},
		"nohup":       {},
		"setsid":      {},
		"stdbuf":      {valued: "ioe"},
		"setpriv":     {},
		"timeout":     {valued: "ks", before: 1},
	}
	how, ok := starters[program]
	if !ok {
		return nil, false
	}
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "--":
			return args[min(1+how.before, len(args)):], true
		case program == "env" && (a == "-S" || a == "--split-string") && len(args) > 1:
			args = append(strings.Fields(args[1]), args[2:]...)
			continue
		case program == "env" && (strings.HasPrefix(a, "-S") || strings.HasPrefix(a, "-vS")):
			// A shebang hands over "-S prog arg" as one argument.
			_, rest, _ := strings.Cut(a, "S")
			args = append(strings.Fields(rest), args[1:]...)
			continue
		case len(a) > 1 && a[0] == '-':
			args = args[1:]
			if len(a) == 2 && strings.Contains(how.valued, a[1:]) && len(args) > 0 {
				args = args[1:]
			}
			continue
		case program == "env" && strings.Contains(a, "="):
			args = args[1:]
			continue
		}
		break
	}
	return args[min(how.before, len(args)):], true
}

// shellCommand returns the text that a shell was given with -c.
func shellCommand(program string, args []string) (string, bool) {
	switch program {
	case "sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "busybox":
	default:
		return "", false
	}
	for i, a := range args {
		if len(a) < 2 || a[0] != '-' && a[0] != '+' {
			return "", false
		}
		if a[0] == '-' && a[1] != '-' && strings.Contains(a, "c") && i+1 < len(args) {
			return args[i+1], true
		}
	}
	return "", false
}

// shell follows the commands of a shell text. Only those whose name is written
// out can be followed; the rest makes the answer unknown.
func (l *launch) shell(text string, depth int) bool {
	if len(text) > maxScript {
		return false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return false
	}
	known := true
	syntax.Walk(file, func(n syntax.Node) bool {
		if _, ok := n.(*syntax.FuncDecl); ok {
			known = false // its name would be taken for a program's
		}
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			known = l.call(call, depth) && known
		}
		return true
	})
	return known
}

func (l *launch) call(call *syntax.CallExpr, depth int) bool {
	var argv []string
	for i, w := range call.Args {
		word, literal := literalWord(w)
		if !literal && i == 0 {
			return false
		}
		argv = append(argv, word)
	}
	switch argv[0] {
	case "exec", "command", "builtin", "time":
		if len(argv) == 1 {
			return true // only redirects
		}
		if first, literal := literalWord(call.Args[1]); !literal || strings.HasPrefix(first, "-") {
			return false
		}
		return l.run(argv[1:], depth)
	case "eval", ".", "source":
		return false
	}
	return isBuiltin(argv[0]) || l.run(argv, depth)
}

// literalWord returns the text of a word, and whether all of it is written out.
// What is not becomes "$".
func literalWord(w *syntax.Word) (string, bool) {
	var text strings.Builder
	literal := true
	var add func([]syntax.WordPart)
	add = func(parts []syntax.WordPart) {
		for _, p := range parts {
			switch p := p.(type) {
			case *syntax.Lit:
				text.WriteString(p.Value)
			case *syntax.SglQuoted:
				text.WriteString(p.Value)
			case *syntax.DblQuoted:
				add(p.Parts)
			default:
				text.WriteByte('$')
				literal = false
			}
		}
	}
	add(w.Parts)
	return text.String(), literal
}

// isBuiltin reports whether the shell carries out the command itself (POSIX,
// XCU 2.15, and the common ones of 1.6).
func isBuiltin(name string) bool {
	switch name {
	case ":", "[", "alias", "bg", "break", "cd", "continue", "echo", "exit", "export", "false", "fg", "getopts",
		"hash", "jobs", "kill", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "shopt",
		"test", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "wait":
		return true
	}
	return false
}

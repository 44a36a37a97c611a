package fanotify

import (
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// argument is a file that a command line or an environment names as what is to be
// run.
type argument struct {
	path string
	kind touchstone.ExecutionKind
	// search: a name without a slash is looked for in places that are not known here;
	// any file of that name counts.
	search bool
}

// syntax is how an interpreter reads its command line, as far as that decides what
// it runs. Options are written as people write them: "-f", "--file".
type syntax struct {
	// code: what is run is in the arguments, or comes from elsewhere; no file follows.
	code []string
	// file: the value is a file that is run; list: files parted by ":", ";", " " or ",".
	file, list []string
	// last: as file, and what follows are arguments of it.
	last []string
	// value: the value is neither code nor a file of it.
	value []string
	// attached: letters whose value, if any, is the rest of the same argument.
	attached string
	// words: options are whole words (-jar), not letters that can be put together (-xe).
	words bool
	// plus: options may begin with "+".
	plus bool
	// text: the first argument that is no option is code, not a file of it.
	text bool
	// only: the first argument that is no option is a file if it ends so.
	only string
	// sub are commands that may stand before the file: node inspect FILE.
	sub []string
	// more are endings that the interpreter tries: node app, for app.js.
	more []string
	// stem is what stands directly before a file in one argument: -javaagent:FILE.
	stem []string
	kind touchstone.ExecutionKind
}

// Interpreters are the names that Config.Interpreter may give.
func Interpreters() []string {
	return []string{"awk", "busybox", "java", "loader", "lua", "node", "perl", "php", "plain", "python", "ruby", "sh"}
}

// InterpreterNamed returns which interpreter a program is by the name of its file,
// one of Interpreters, or nothing.
func InterpreterNamed(file string) string {
	base := path.Base(file)
	if strings.HasPrefix(base, "ld-linux") || strings.HasPrefix(base, "ld-musl") || strings.HasPrefix(base, "ld.so") || strings.HasPrefix(base, "ld64.so") ||
		strings.HasPrefix(base, "ld-") && strings.HasSuffix(base, ".so") {
		return "loader"
	}
	switch strings.TrimRight(base, "0123456789.-_") {
	case "sh", "bash", "rbash", "dash", "ash", "hush", "zsh", "ksh", "mksh", "lksh", "pdksh", "oksh", "yash", "posh":
		return "sh"
	case "busybox", "toybox":
		return "busybox"
	case "python", "pypy":
		return "python"
	case "perl":
		return "perl"
	case "ruby", "jruby":
		return "ruby"
	case "node", "nodejs", "bun", "deno":
		return "node"
	case "php", "php-cli", "php-cgi":
		return "php"
	case "lua", "luajit":
		return "lua"
	case "awk", "gawk", "mawk", "nawk", "original-awk":
		return "awk"
	case "java":
		return "java"
	case "tclsh", "wish", "expect", "guile", "Rscript", "ocaml", "racket", "julia", "pwsh", "fish", "csh", "tcsh", "escript", "groovy":
		return "plain"
	}
	return ""
}

// syntaxOf returns how the interpreter reads its command line.
func syntaxOf(interpreter string) (syntax, bool) {
	s := syntax{kind: touchstone.ExecuteScript}
	switch interpreter {
	case "sh":
		s.code, s.file, s.value, s.plus = []string{"-c", "-s"}, []string{"--rcfile", "--init-file"}, []string{"-o", "-O"}, true
	case "python":
		s.code, s.value, s.more = []string{"-c", "-m"}, []string{"-W", "-X", "--check-hash-based-pycs"}, []string{"/__main__.py"}
	case "perl":
		s.code, s.value, s.attached = []string{"-e", "-E"}, []string{"-I"}, "iMmxDF"
	case "ruby":
		s.code, s.file, s.value, s.attached = []string{"-e"}, []string{"-r"}, []string{"-I", "-C", "-E", "--encoding", "--external-encoding", "--internal-encoding"}, "KFixWT"
		s.more = []string{".rb"}
	case "node":
		s.code = []string{"-e", "--eval", "-p", "--print", "-pe"}
		s.file = []string{"-r", "--require", "--import", "--loader", "--experimental-loader"}
		s.value = []string{"-C", "--conditions", "--input-type", "--title", "--env-file"}
		s.words, s.sub, s.more = true, []string{"inspect", "debug", "run"}, []string{".js", ".mjs", ".cjs", "/index.js"}
	case "php":
		s.code, s.last, s.file = []string{"-r", "-B", "-R", "-E"}, []string{"-f", "--file"}, []string{"-F", "--process-file", "-z", "--zend-extension"}
		s.value = []string{"-c", "--php-ini", "-d", "--define", "-S", "--server", "-t", "--docroot"}
	case "lua":
		s.value = []string{"-e", "-l"}
	case "awk":
		s.file, s.last, s.text = []string{"-f", "--file", "-i", "--include", "-l", "--load"}, []string{"-E", "--exec"}, true
		s.value = []string{"-v", "--assign", "-F", "--field-separator"}
	case "java":
		s.words, s.only = true, ".java"
		s.last, s.code = []string{"-jar"}, []string{"-m", "--module"}
		s.list = []string{"-cp", "-classpath", "--class-path"}
		s.value = []string{"-p", "--module-path", "--upgrade-module-path", "--add-modules", "--add-opens", "--add-exports", "--add-reads", "--limit-modules", "--source"}
		s.stem = []string{"-javaagent:", "-agentpath:", "-Xbootclasspath/a:", "@"}
	case "loader":
		s.words, s.kind = true, touchstone.ExecuteLibrary
		s.list, s.value = []string{"--preload", "--audit"}, []string{"--library-path", "--inhibit-rpath", "--argv0", "--glibc-hwcaps-prepend", "--glibc-hwcaps-mask"}
	case "plain":
		s.words = true
	default:
		return syntax{}, false
	}
	return s, true
}

// commandArguments returns the files that a command line names as what the
// interpreter runs. What is data to a script is not among them.
func commandArguments(interpreter string, argv []string) []argument {
	if len(argv) == 0 {
		return nil
	}
	if interpreter == "busybox" {
		applet := strings.TrimPrefix(path.Base(argv[0]), "-") // a login shell
		for (applet == "busybox" || applet == "toybox") && len(argv) > 1 {
			argv = argv[1:]
			applet = path.Base(argv[0])
		}
		if interpreter = InterpreterNamed(applet); interpreter != "sh" && interpreter != "awk" {
			return nil
		}
	}
	s, known := syntaxOf(interpreter)
	if !known {
		return nil
	}
	return s.parse(argv[1:])
}

func (s *syntax) parse(args []string) (found []argument) {
	add := func(values ...string) {
		for _, v := range values {
			if v == "" || v == "-" {
				continue
			}
			found = append(found, argument{path: v, kind: s.kind, search: s.kind == touchstone.ExecuteLibrary})
			for _, more := range s.more {
				found = append(found, argument{path: v + more, kind: s.kind})
			}
		}
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" || arg == "-" && !s.words {
			if len(args) > 0 && !s.text {
				add(args[0])
			}
			return found
		}
		if !s.option(arg) {
			if stem, value := s.stemmed(arg); stem {
				add(value)
				continue
			}
			if slices.Contains(s.sub, arg) {
				continue
			}
			if !s.text && strings.HasSuffix(arg, s.only) {
				add(arg)
			}
			return found
		}
		name, value, attached := s.split(arg)
		takes := func(options []string) bool { return slices.Contains(options, name) }
		if !attached && len(args) > 0 && (takes(s.file) || takes(s.list) || takes(s.last) || takes(s.value)) {
			value, args = args[0], args[1:]
		}
		switch {
		case takes(s.code):
			return found
		case takes(s.file):
			add(value)
		case takes(s.list):
			add(strings.FieldsFunc(value, isSeparator)...)
		case takes(s.last):
			add(value)
			return found
		default:
			if stem, value := s.stemmed(arg); stem {
				add(value)
			}
		}
	}
	return found
}

func isSeparator(r rune) bool { return r == ':' || r == ';' || r == ' ' || r == ',' }

func (s *syntax) option(arg string) bool {
	return len(arg) > 1 && (arg[0] == '-' || s.plus && arg[0] == '+')
}

// stemmed returns what follows one of the stems, up to a "=".
func (s *syntax) stemmed(arg string) (bool, string) {
	for _, stem := range s.stem {
		if rest, ok := strings.CutPrefix(arg, stem); ok {
			value, _, _ := strings.Cut(rest, "=")
			return true, value
		}
	}
	return false, ""
}

// split returns the option of an argument that decides, and its value where that is
// in the same argument: --file=x, -fx. Of letters put together the first that takes
// a value or code decides.
func (s *syntax) split(arg string) (name, value string, attached bool) {
	if s.words || strings.HasPrefix(arg, "--") {
		name, value, attached = strings.Cut(arg, "=")
		return name, value, attached
	}
	for i := 1; i < len(arg); i++ {
		letter := "-" + arg[i:i+1]
		if strings.Contains(s.attached, arg[i:i+1]) {
			return letter, arg[i+1:], true
		}
		if slices.Contains(s.code, letter) {
			return letter, "", true
		}
		for _, options := range [][]string{s.file, s.list, s.last, s.value} {
			if slices.Contains(options, letter) {
				return letter, arg[i+1:], i+1 < len(arg)
			}
		}
	}
	return "", "", true
}

// environmentArguments returns the files that one variable of an environment names
// as what is to be run; base is the name of the file that is opened.
func environmentArguments(interpreter, variable, base string) []argument {
	name, value, ok := strings.Cut(variable, "=")
	if !ok || value == "" {
		return nil
	}
	script := func(of string, options bool) []argument {
		if interpreter != of {
			return nil
		}
		if options {
			return commandArguments(of, append([]string{of}, strings.Fields(value)...))
		}
		return []argument{{path: value, kind: touchstone.ExecuteScript}}
	}
	var found []argument
	switch name {
	case "LD_PRELOAD", "LD_AUDIT":
		for _, f := range strings.FieldsFunc(value, isSeparator) {
			found = append(found, argument{path: f, kind: touchstone.ExecuteLibrary, search: true})
		}
	case "LD_LIBRARY_PATH":
		for _, dir := range strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ';' }) {
			found = append(found, argument{path: dir + "/" + base, kind: touchstone.ExecuteLibrary})
		}
	case "BASH_ENV", "ENV":
		return script("sh", false)
	case "PYTHONSTARTUP":
		return script("python", false)
	case "NODE_OPTIONS":
		return script("node", true)
	case "RUBYOPT":
		return script("ruby", true)
	case "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS":
		return script("java", true)
	}
	return found
}

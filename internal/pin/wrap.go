package pin

import (
	"slices"
	"strings"
)

// wrapper is a command that runs the command in its arguments.
type wrapper struct {
	valued   string // its options that take a value
	operands int    // words of its own before the command
	assigns  bool   // NAME=value may stand before the command
}

func wrapperOf(name string) (wrapper, bool) {
	switch name {
	case "sudo", "doas":
		return wrapper{valued: "-u -g -h -p -C -r -t -T -U -D --user --group --prompt", assigns: true}, true
	case "env":
		return wrapper{valued: "-u -C --unset --chdir", assigns: true}, true
	case "exec":
		return wrapper{valued: "-a"}, true
	case "command", "builtin", "nohup", "setsid", "eatmydata", "time", "busybox", "!":
		return wrapper{}, true
	case "nice":
		return wrapper{valued: "-n --adjustment"}, true
	case "ionice":
		return wrapper{valued: "-c -n -p --class --classdata"}, true
	case "stdbuf":
		return wrapper{valued: "-i -o -e"}, true
	case "timeout":
		return wrapper{valued: "-s -k --signal --kill-after", operands: 1}, true
	case "chroot", "gosu", "su-exec", "fakechroot":
		return wrapper{operands: 1}, true
	case "xargs":
		return wrapper{valued: "-n -P -I -L -d -a -s -E --max-args --max-procs --replace --delimiter --arg-file"}, true
	}
	return wrapper{}, false
}

// unwrap removes sudo, env and the like from before a command. list is true
// when the command is given more arguments from a list (xargs).
func unwrap(args []word) (rest []word, list bool) {
	for range 8 {
		if len(args) == 0 || !args[0].known() {
			return args, list
		}
		name := args[0].s[strings.LastIndexByte(args[0].s, '/')+1:]
		w, ok := wrapperOf(name)
		if !ok {
			return args, list
		}
		inner := w.after(args[1:])
		if len(inner) == 0 {
			return args, list
		}
		list = list || name == "xargs"
		args = inner
	}
	return args, list
}

func (w wrapper) after(args []word) []word {
	valued := strings.Fields(w.valued)
	for len(args) > 0 {
		a := args[0].s
		switch {
		case a == "--":
			return args[min(len(args), 1+w.operands):]
		case strings.HasPrefix(a, "-") && len(a) > 1:
			args = args[1:]
			if slices.Contains(valued, a) && len(args) > 0 {
				args = args[1:]
			}
		case w.assigns && nameLength(a) > 0 && strings.HasPrefix(a[nameLength(a):], "="):
			args = args[1:]
		default:
			return args[min(len(args), w.operands):]
		}
	}
	return nil
}

// isShell reports whether the command reads the POSIX shell's language.
func isShell(name string) bool {
	switch name {
	case "sh", "bash", "dash", "ash", "ksh", "zsh", "mksh", "rbash":
		return true
	}
	return false
}

func isInterpreter(name string) bool {
	for _, prefix := range []string{"python", "pypy", "perl", "ruby", "node", "php", "lua"} {
		if strings.HasPrefix(name, prefix) && strings.Trim(name[len(prefix):], "0123456789.") == "" {
			return true
		}
	}
	return isShell(name)
}

// innerScript returns the script that a shell is given as an argument.
func innerScript(c *call) (text, bool) {
	name := c.name()
	switch {
	case isShell(name):
		for i, a := range c.args[1:] {
			if !strings.HasPrefix(a.s, "-") && !strings.HasPrefix(a.s, "+") {
				if i > 0 && (c.args[i].s == "-o" || c.args[i].s == "-O" || strings.HasSuffix(c.args[i].s, "o")) {
					continue // set -o NAME
				}
				return text{}, false
			}
			if isCommandFlag(a.s) {
				return scriptAfter(c.args[i+2:])
			}
		}
	case name == "su", name == "runuser":
		for i, a := range c.args[1:] {
			if a.s == "-c" || a.s == "--command" {
				return scriptAfter(c.args[i+2:])
			}
			if t, ok := strings.CutPrefix(a.s, "--command="); ok {
				return a.slice(len(a.s)-len(t), len(a.s)), true
			}
		}
	case name == "eval":
		var b builder
		for _, a := range c.args[1:] {
			b.add(a.text)
			b.add(unplaced(" "))
		}
		return b.text(), len(c.args) > 1
	}
	return text{}, false
}

// isCommandFlag reports whether an option of a shell is -c, alone or among
// others as in -euxc.
func isCommandFlag(a string) bool {
	return len(a) > 1 && a[0] == '-' && a[1] != '-' && strings.Contains(a, "c")
}

// scriptAfter returns the script behind -c: the next word that is no option.
func scriptAfter(args []word) (text, bool) {
	for i, a := range args {
		if strings.HasPrefix(a.s, "-") || i > 0 && args[i-1].s == "-o" {
			continue
		}
		return a.text, true
	}
	return text{}, false
}

// readsScript reports whether the command runs what it reads from its input.
func readsScript(c *call) bool {
	name := c.name()
	if !isInterpreter(name) {
		return false
	}
	for i, a := range c.args[1:] {
		switch {
		case a.s == "-" || a.s == "-s" || a.s == "/dev/stdin":
			return true
		case a.s == "--":
			return i == len(c.args)-2
		case !strings.HasPrefix(a.s, "-"):
			if isShell(name) && i > 0 && strings.HasSuffix(c.args[i].s, "o") {
				continue // set -o NAME
			}
			return false
		case isShell(name) && isCommandFlag(a.s):
			return false
		case !isShell(name) && len(a.s) > 1 && slices.Contains([]string{"-c", "-e", "-m", "-n", "-r", "-p"}, a.s[:2]):
			return false // the program is in the arguments
		}
	}
	return true
}

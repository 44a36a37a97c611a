package pin

import (
	"regexp"
	"strings"
)

const npmValued = "--prefix --registry -C --loglevel -w --workspace --omit --include --cache --userconfig --globalconfig --tag " +
	"--install-strategy --only --cwd --filter --dir -F --modules-dir --store-dir --cache-folder --network-timeout --mutex --modules-folder --package --call"

// exactNode is one version of Semantic Versioning 2.0.0.
var exactNode = regexp.MustCompile(`^[=v]?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// npm judges npm install and its kin. npm ci takes what the lock file says.
func (j *judge) npm(args []word) {
	l := parse(args, npmValued)
	command, operands := l.command()
	switch command {
	case "install", "i", "add", "in", "isntall":
		if len(operands) == 0 && !j.list {
			if !l.has("-g", "--global") {
				j.plain(j.args[0], "npm", "npm "+command, "package-lock.json is changed where it does not fit, and made anew where it is missing",
					"use npm ci, with package-lock.json beside package.json")
			}
			return
		}
		for _, w := range operands {
			j.nodePackage("npm", w)
		}
		j.fromList("npm")
	case "update", "up", "upgrade":
		j.upgrade("npm", j.args[0], "npm "+command)
	case "exec", "x":
		j.npx("npm", args[1:])
	}
}

// npx judges commands that fetch a program and run it. Without a version they
// may as well run one that is installed, so only what asks for a download, or
// for a range, is found.
func (j *judge) npx(tool string, args []word) {
	l := parse(args, "-p --package -c --call --registry --cache")
	named := l.values("-p", "--package")
	if len(named) == 0 && len(l.operands) > 0 {
		w := l.operands[0]
		if strings.LastIndexByte(w.s, '@') > 0 || l.has("-y", "--yes") {
			named = []word{w}
		}
	}
	for _, w := range named {
		j.nodePackage(tool, w)
	}
}

// nodePackage judges [ALIAS@npm:]NAME[@VERSION|RANGE|TAG], a folder, a tarball
// or a git repository (npm-package-arg).
func (j *judge) nodePackage(tool string, w word) {
	s := w.s
	switch {
	case s == "" || isLocal(s) || strings.HasPrefix(s, "file:") || strings.HasSuffix(s, ".tgz") && !isURL(s):
		return
	case isURL(s) && !strings.HasSuffix(strings.Split(s, "#")[0], ".git"):
		if !addressed(s) {
			j.plain(w, tool, clean(w.show()), "what lies at the URL can change", "install it from the registry by name and version")
		}
		return
	case strings.Contains(s, "://") || strings.HasPrefix(s, "github:") || strings.HasPrefix(s, "git@") ||
		strings.Contains(s, "/") && !strings.HasPrefix(s, "@") && !strings.Contains(s, "@npm:"):
		if _, ref, _ := strings.Cut(s, "#"); !isCommit(ref) {
			j.plain(w, tool, clean(w.show()), "a branch or tag can be moved to another commit", "name the commit behind #, all 40 digits of it")
		}
		return
	}
	p := spec{tool: tool, word: w, from: len(s), to: len(s), before: "@"}
	start := 0
	if i := strings.Index(s, "@npm:"); i >= 0 {
		start = i + len("@npm:")
	}
	p.name = s[start:]
	if i := strings.LastIndexByte(p.name, '@'); i > 0 {
		p.version, p.from = p.name[i+1:], start+i
		p.name = p.name[:i]
		p.exact = exactNode.MatchString(p.version)
	}
	j.spec(p)
}

// yarn judges both kinds of yarn: add, global add, dlx, install.
func (j *judge) yarn(args []word) {
	l := parse(args, npmValued)
	command, operands := l.command()
	if command == "global" && len(operands) > 0 {
		command, operands = operands[0].s, operands[1:]
	}
	switch command {
	case "add":
		for _, w := range operands {
			j.nodePackage("yarn", w)
		}
		j.fromList("yarn")
	case "dlx":
		if len(operands) > 0 {
			j.nodePackage("yarn", operands[0])
		}
	case "", "install":
		if len(args) > 0 && command == "" && l.has("--version", "-v", "--help", "-h") {
			return
		}
		if !l.has("--frozen-lockfile", "--immutable", "--pure-lockfile", "-g") {
			j.plain(j.args[0], "yarn", "yarn install", "the lock file is changed where it does not fit",
				"add --frozen-lockfile (yarn 1) or --immutable")
		}
	case "upgrade", "up":
		j.upgrade("yarn", j.args[0], "yarn "+command)
	}
}

// pnpm judges pnpm and bun, which share their words.
func (j *judge) pnpm(tool string, args []word) {
	l := parse(args, npmValued)
	command, operands := l.command()
	switch command {
	case "add", "install", "i":
		if len(operands) == 0 {
			if !l.has("--frozen-lockfile", "-g", "--global") && !j.list {
				j.plain(j.args[0], tool, tool+" "+command, "the lock file is changed where it does not fit", "add --frozen-lockfile")
			}
			return
		}
		for _, w := range operands {
			j.nodePackage(tool, w)
		}
	case "dlx", "x":
		if len(operands) > 0 {
			j.nodePackage(tool, operands[0])
		}
	case "update", "up", "upgrade":
		j.upgrade(tool, j.args[0], tool+" "+command)
	}
}

// corepack judges what names a package manager to fetch.
func (j *judge) corepack(args []word) {
	command, operands := parse(args, "--install-directory").command()
	if command != "prepare" && command != "use" && command != "install" {
		return
	}
	for _, w := range operands {
		version := ""
		if i := strings.LastIndexByte(w.s, '@'); i > 0 {
			version = w.s[i+1:]
			if plus := strings.IndexByte(version, '+'); plus >= 0 {
				version = version[:plus] // a hash may follow
			}
		}
		if !exactNode.MatchString(version) {
			j.nodePackage("corepack", w)
		}
	}
}

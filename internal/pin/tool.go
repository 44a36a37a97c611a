package pin

import (
	"strings"
)

// tool hands the call to the judge of the tool that it runs. Downloads (curl,
// wget, git) are judged by stage, because what makes them safe comes later.
func (j *judge) tool() {
	name := j.name()
	args := j.args[min(1, len(j.args)):]
	switch name {
	case "apt", "apt-get", "aptitude":
		j.apt(args)
	case "apk":
		j.apk(args)
	case "dnf", "dnf5", "yum", "microdnf", "tdnf":
		j.dnf(name, args)
	case "zypper":
		j.zypper(args)
	case "rpm":
		j.rpm(args)
	case "uv":
		j.uv(args)
	case "uvx":
		j.toolRun("uv", args)
	case "pipx":
		j.pipx(args)
	case "pipenv", "poetry":
		j.lockedPython(name, args)
	case "conda", "mamba", "micromamba":
		j.conda(name, args)
	case "npm":
		j.npm(args)
	case "npx":
		j.npx("npm", args)
	case "bunx", "pnpx":
		j.npx(name[:len(name)-1], args)
	case "yarn":
		j.yarn(args)
	case "pnpm", "bun":
		j.pnpm(name, args)
	case "corepack":
		j.corepack(args)
	case "gem":
		j.gem(args)
	case "go":
		j.golang(args)
	case "cargo":
		j.cargo(args)
	case "composer", "composer.phar":
		j.composer(args)
	case "pecl":
		j.pecl(args)
	default:
		if versionless(name, "pip") {
			j.pip("pip", args)
		} else if versionless(name, "python") || versionless(name, "pypy") {
			j.pythonModule(args)
		}
	}
}

// versionless reports whether name is the command, perhaps with a version
// behind it: python, python3, python3.12.
func versionless(name, command string) bool {
	rest, ok := strings.CutPrefix(name, command)
	return ok && strings.Trim(rest, "0123456789.") == ""
}

// fromList reports a command that takes its packages from what it reads
// (xargs), so that this file does not name them.
func (j *judge) fromList(tool string) {
	if j.list {
		j.plain(j.args[0], tool, "packages from a list",
			"which packages, in which versions, is only known during the build",
			"write the packages out, each with its version")
	}
}

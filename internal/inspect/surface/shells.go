package surface

// shellTable lists command shells: with one, whoever can start a program can
// start any, and join them. Not listed: awk and editors, which can start a
// program as well, but are there wherever a shell is.
func shellTable() []tool {
	const posix = "runs any command; what exploits expect at /bin/sh"
	return []tool{
		{name: "sh", why: posix},
		{name: "ash", why: posix},
		{name: "bash", why: posix},
		{name: "bash-static", why: posix},
		{name: "dash", why: posix},
		{name: "hush", why: posix},
		{name: "ksh", why: posix},
		{name: "ksh93", why: posix},
		{name: "lksh", why: posix},
		{name: "mksh", why: posix},
		{name: "mksh-static", why: posix},
		{name: "oksh", why: posix},
		{name: "posh", why: posix},
		{name: "rbash", why: "a shell that is easily left for a whole one"},
		{name: "sash", why: "a static shell with cp, mount and more inside"},
		{name: "static-sh", why: posix},
		{name: "yash", why: posix},
		{name: "zsh", why: posix},
		{name: "zsh5", why: posix},
		{name: "csh", why: "runs any command"},
		{name: "bsd-csh", why: "runs any command"},
		{name: "tcsh", why: "runs any command"},
		{name: "fish", why: "runs any command"},
		{name: "elvish", why: "runs any command"},
		{name: "nu", why: "Nushell; runs any command"},
		{name: "xonsh", why: "runs any command, and Python"},
		{name: "pwsh", why: "PowerShell; runs any command, and .NET"},
		{name: "busybox", why: "a shell and some 300 tools in one file"},
		{name: "busybox.static", why: "a shell and some 300 tools in one file"},
		{name: "toybox", why: "a shell and some 200 tools in one file"},
	}
}

package surface

// interpreterTable lists interpreters of general scripting languages: they run
// what an attacker brings as text, with the network and every system call at
// hand. Not listed: awk and sed, which are there wherever a shell is, and java,
// which runs compiled classes (jshell does run text).
func interpreterTable() []tool {
	const general = "runs any text as a program, with the whole system at hand"
	return []tool{
		{name: "bun", why: general},
		{name: "deno", why: general},
		{name: "expect", why: "scripts other programs, logins among them"},
		{name: "gjs", why: general},
		{name: "groovy", why: general},
		{name: "guile", versions: true, why: general},
		{name: "iex", why: general},
		{name: "ipython", versions: true, why: general},
		{name: "irb", versions: true, why: general},
		{name: "jruby", why: general},
		{name: "jshell", why: general},
		{name: "julia", why: general},
		{name: "lua", versions: true, why: general},
		{name: "luajit", versions: true, why: general},
		{name: "node", versions: true, why: general},
		{name: "nodejs", why: general},
		{name: "perl", versions: true, why: general},
		{name: "php", versions: true, why: general},
		{name: "php-cgi", versions: true, why: general},
		{name: "pypy", versions: true, why: general},
		{name: "python", versions: true, why: general},
		{name: "qjs", why: general},
		{name: "Rscript", why: general},
		{name: "ruby", versions: true, why: general},
		{name: "tclsh", versions: true, why: general},
		{name: "wish", versions: true, why: general},
	}
}

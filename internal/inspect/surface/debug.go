package surface

// debugTable lists programs that look into other programs and into traffic, and
// compilers, which make programs of an attacker's text.
func debugTable() []tool {
	const (
		debugger = "reads and changes the memory of other programs"
		tracer   = "sees what other programs read and write"
		sniffer  = "sees what goes across the network"
		compiler = "makes programs of text, exploits among them"
	)
	return []tool{
		{name: "dlv", why: debugger},
		{name: "gcore", why: debugger},
		{name: "gdb", why: debugger},
		{name: "gdbserver", why: debugger},
		{name: "jdb", why: debugger},
		{name: "jmap", why: debugger},
		{name: "lldb", versions: true, why: debugger},
		{name: "lldb-server", versions: true, why: debugger},
		{name: "r2", why: debugger},
		{name: "radare2", why: debugger},
		{name: "rizin", why: debugger},
		{name: "nsenter", why: "enters other namespaces, the node's among them"},
		{name: "bpftool", why: tracer},
		{name: "bpftrace", why: tracer},
		{name: "ltrace", why: tracer},
		{name: "perf", versions: true, why: tracer},
		{name: "py-spy", why: tracer},
		{name: "rr", why: tracer},
		{name: "strace", why: tracer},
		{name: "sysdig", why: tracer},
		{name: "valgrind", why: tracer},
		{name: "dumpcap", why: sniffer},
		{name: "ettercap", why: sniffer},
		{name: "ngrep", why: sniffer},
		{name: "tcpdump", why: sniffer},
		{name: "tshark", why: sniffer},
		{name: "wireshark", why: sniffer},
		{name: "as", why: compiler},
		{name: "c++", why: compiler},
		{name: "cc", why: compiler},
		{name: "clang", versions: true, why: compiler},
		{name: "clang++", versions: true, why: compiler},
		{name: "cpp", versions: true, why: "the first half of a compiler"},
		{name: "csc", why: compiler},
		{name: "dmd", why: compiler},
		{name: "g++", versions: true, why: compiler},
		{name: "gcc", versions: true, why: compiler},
		{name: "gccgo", versions: true, why: compiler},
		{name: "gfortran", versions: true, why: compiler},
		{name: "ghc", versions: true, why: compiler},
		{name: "go", versions: true, why: compiler},
		{name: "javac", why: compiler},
		{name: "kotlinc", why: compiler},
		{name: "ld", why: compiler},
		{name: "ldc2", why: compiler},
		{name: "nasm", why: compiler},
		{name: "ocamlopt", why: compiler},
		{name: "rustc", why: compiler},
		{name: "swiftc", why: compiler},
		{name: "tcc", why: compiler},
		{name: "zig", why: compiler},
	}
}

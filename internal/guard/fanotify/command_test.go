package fanotify

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func paths(arguments []argument) string {
	var out []string
	for _, a := range arguments {
		if !slices.ContainsFunc([]string{"/__main__.py", ".mjs", ".cjs", "/index.js"}, func(s string) bool { return strings.HasSuffix(a.path, s) }) {
			out = append(out, a.path)
		}
	}
	return strings.Join(out, " ")
}

func TestScriptOfACommandLine(t *testing.T) {
	tests := []struct{ command, want string }{
		{"sh x.sh", "x.sh"},
		{"sh x.sh y.sh", "x.sh"},
		{"bash -x -e x.sh -c y", "x.sh"},
		{"bash -eo pipefail x.sh", "x.sh"},
		{"bash -c x.sh y.sh", ""},
		{"bash -xc x.sh y.sh", ""},
		{"bash +e +o posix x.sh", "x.sh"},
		{"bash -- -x.sh", "-x.sh"},
		{"bash - x.sh", "x.sh"},
		{"bash -s a", ""},
		{"bash --rcfile rc -i", "rc"},
		{"bash --init-file=rc x.sh", "rc x.sh"},
		{"bash --norc x.sh", "x.sh"},
		{"/bin/sh", ""},
		{"busybox sh x.sh", "x.sh"},
		{"busybox busybox ash x.sh", "x.sh"},
		{"busybox cat x.sh", ""},
		{"busybox awk -f x.awk data", "x.awk"},
		{"python3.11 app.py data.csv", "app.py"},
		{"python -c code x.py", ""},
		{"python -m http.server x.py", ""},
		{"python -mhttp.server x.py", ""},
		{"python -u -W ignore -X dev app.py", "app.py"},
		{"python -Wignore -Bc code app.py", ""},
		{"python - data", "data"},
		{"perl -I lib -Mstrict x.pl data", "x.pl"},
		{"perl -lane code data", ""},
		{"perl -i.bak -pe code data", ""},
		{"perl -w x.pl -e y", "x.pl"},
		{"ruby -r ./evil x.rb", "./evil ./evil.rb x.rb x.rb.rb"},
		{"ruby -e code x.rb", ""},
		{"node app.js data.json", "app.js app.js.js"},
		{"node -r ./hook.js app.js", "./hook.js ./hook.js.js app.js app.js.js"},
		{"node --require=./hook app.js", "./hook ./hook.js app.js app.js.js"},
		{"node -e code x.js", ""},
		{"node inspect app.js", "app.js app.js.js"},
		{"deno run app.ts", "app.ts app.ts.js"},
		{"php -f x.php y.php", "x.php"},
		{"php -d a=b x.php", "x.php"},
		{"php -r code x.php", ""},
		{"php8.2 -S :80 router.php", "router.php"},
		{"lua -e code -l mod x.lua a", "x.lua"},
		{"tclsh x.tcl a", "x.tcl"},
		{"gawk -f lib.awk -f x.awk data", "lib.awk x.awk"},
		{"awk -F : code data", ""},
		{"awk -fx.awk data", "x.awk"},
		{"gawk --file=x.awk data", "x.awk"},
		{"java -Xmx1g -jar app.jar data.jar", "app.jar"},
		{"java -cp a.jar:lib/b.jar Main data", "a.jar lib/b.jar"},
		{"java -javaagent:spy.jar=x -jar app.jar", "spy.jar app.jar"},
		{"java Main.java data", "Main.java"},
		{"java Main data.java", ""},
		{"ld-linux-x86-64.so.2 --library-path /lib ./x arg", "./x"},
		{"ld-musl-x86_64.so.1 --preload e.so ./x", "e.so ./x"},
		{"ld.so --argv0 y --preload=e.so:f.so ./x", "e.so f.so ./x"},
		{"cat x.sh", ""},
	}
	for _, test := range tests {
		t.Run(test.command, func(t *testing.T) {
			argv := strings.Fields(test.command)
			if diff := cmp.Diff(test.want, paths(commandArguments(InterpreterNamed(argv[0]), argv))); diff != "" {
				t.Errorf("what is run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScriptOfAnEnvironment(t *testing.T) {
	tests := []struct{ interpreter, variable, want string }{
		{"", "LD_PRELOAD=/tmp/a.so:b.so c.so", "/tmp/a.so b.so c.so"},
		{"sh", "LD_AUDIT=/tmp/a.so", "/tmp/a.so"},
		{"", "LD_LIBRARY_PATH=/a:/b", "/a/base /b/base"},
		{"sh", "BASH_ENV=/tmp/x", "/tmp/x"},
		{"python", "BASH_ENV=/tmp/x", ""},
		{"node", "NODE_OPTIONS=--max-old-space-size=1 --require /tmp/x.js", "/tmp/x.js /tmp/x.js.js"},
		{"java", "JAVA_TOOL_OPTIONS=-javaagent:/tmp/x.jar", "/tmp/x.jar"},
		{"sh", "PATH=/bin", ""},
		{"sh", "=", ""},
		{"sh", "", ""},
	}
	for _, test := range tests {
		t.Run(test.variable, func(t *testing.T) {
			if diff := cmp.Diff(test.want, paths(environmentArguments(test.interpreter, test.variable, "base"))); diff != "" {
				t.Errorf("what is run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInterpretersByName(t *testing.T) {
	tests := map[string]string{
		"/bin/bash": "sh", "/usr/bin/python3.11": "python", "/usr/bin/perl5.36.0": "perl", "/bin/busybox": "busybox",
		"/lib64/ld-linux-x86-64.so.2": "loader", "/lib/ld-musl-aarch64.so.1": "loader", "/lib/x86_64-linux-gnu/ld-2.31.so": "loader",
		"/usr/bin/php8.2": "php", "/usr/bin/lua5.4": "lua", "/bin/cat": "", "": "", "/bin/bashful": "",
	}
	for file, want := range tests {
		got := InterpreterNamed(file)
		if got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
		if got != "" && !slices.Contains(Interpreters(), got) {
			t.Errorf("%q is not among the interpreters", got)
		}
	}
	for _, name := range Interpreters() {
		if _, known := syntaxOf(name); !known && name != "busybox" {
			t.Errorf("the syntax of %q is not known", name)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	f.Add("bash\x00-eo\x00pipefail\x00x.sh", "LD_PRELOAD=/a:/b")
	f.Add("busybox\x00busybox", "NODE_OPTIONS=-r")
	f.Add("java\x00-jar", "JAVA_TOOL_OPTIONS=@")
	f.Fuzz(func(t *testing.T, command, variable string) {
		argv := strings.Split(command, "\x00")
		for _, interpreter := range Interpreters() {
			for _, a := range commandArguments(interpreter, argv) {
				if a.path == "" {
					t.Errorf("%s: an empty path", interpreter)
				}
			}
			environmentArguments(interpreter, variable, "base")
		}
	})
}

package pin

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// download is something that a stage fetches by URL.
type download struct {
	*call
	tool string // "curl" or "wget"
	url  word
	file string // base name of what it is written to; "" when not known
	at   int    // its place among the calls of the stage
	via  string // what becomes of it: "file", "run", "version", "pipe"
}

// downloads judges curl, wget and git over a whole stage: what is fetched in
// one RUN may be checked in a later one.
func (r *reader) downloads(stage int, calls []*call) {
	var all []download
	for i, c := range calls {
		switch c.name() {
		case "curl", "wget":
			all = append(all, fetched(c, i)...)
		case "git":
			r.git(stage, i, calls)
		}
	}
	if len(all) == 0 {
		return
	}
	checks := checksOf(calls, all)
	for _, d := range all {
		p := touchstone.Pin{Tool: d.tool, What: clean(d.url.show())}
		switch {
		case d.via == "run":
			p.Tool = "curl-pipe"
			p.Why = "whatever lies at the URL on that day is run, and nothing checks it"
			p.Fix = "download it to a file, check its sha256sum, then run it; better, install a package by version"
		case d.via == "version":
			p.Why = "which version is taken is asked of the network by each build"
			p.Fix = "write the version down as an ARG"
		case d.via == "pipe":
			p.Why = "it is used as it comes, and nothing checks it"
			p.Fix = "download it to a file, check its sha256sum, then use it"
		case checks.cover(d):
			continue
		default:
			p.Why = "what lies at the URL can change, and no checksum is checked after it"
			p.Fix = `check it: echo "SHA256  FILE" | sha256sum -c -`
			if checks.weak {
				p.Why = "the checksums come from the same place as the file, so both can change together"
			}
		}
		r.file.found(stage, d.line, d.url, p, need{not: p.Fix})
	}
}

const curlValued = "-o --output -H --header -d --data --data-raw --data-binary --data-urlencode --json -X --request -u --user -A --user-agent " +
	"-e --referer -x --proxy -b --cookie -c --cookie-jar -F --form -T --upload-file -m --max-time --connect-timeout --retry " +
	"--retry-delay --retry-max-time --cacert --capath -E --cert --key -K --config -w --write-out -z --time-cond -r --range " +
	"-C --continue-at --url --resolve --ciphers --tls-max --proto --proto-default --max-redirs --limit-rate --interface " +
	"--output-dir -y -Y --dns-servers --max-filesize --stderr -D --dump-header --pinnedpubkey --unix-socket --create-file-mode --rate --variable"

const wgetValued = "-O --output-document -o --output-file -a --append-output -P --directory-prefix -t --tries -T --timeout -U --user-agent " +
	"--header -e --execute -i --input-file -w --wait --post-data --post-file --user --password --ca-certificate --ca-directory -Q -l -A -R -D " +
	"-B --base --limit-rate --progress --waitretry --body-data --method --secure-protocol"

// fetched returns what one curl or wget takes from the network for the build.
// A request that sends something, or looks whether something is there, takes nothing.
func fetched(c *call, at int) []download {
	valued := curlValued
	if c.name() == "wget" {
		valued = wgetValued
	}
	l := parse(c.args[1:], valued)
	if l.has("-I", "--head", "--spider", "-d", "--data", "--data-raw", "--data-binary", "--json", "-F", "--form", "-T", "--upload-file", "--post-data", "--post-file") {
		return nil
	}
	for _, m := range l.values("-X", "--request", "--method") {
		if !strings.EqualFold(m.s, "GET") {
			return nil
		}
	}
	var files []word
	if c.name() == "curl" {
		files = l.values("-o", "--output")
	} else {
		files = l.values("-O", "--output-document")
	}
	stdout := c.name() == "curl" && len(files) == 0 && !l.has("-O", "--remote-name", "--remote-name-all", "-J") ||
		len(files) > 0 && (files[0].s == "-" || files[0].s == "/dev/stdout")
	var out []download
	for _, u := range append(l.values("--url"), l.operands...) {
		if u.s == "" || loopback(u.s) || addressed(u.s) || u.known() && !strings.Contains(u.s, ".") {
			continue
		}
		d := download{call: c, tool: c.name(), url: u, at: at, via: "file"}
		switch {
		case stdout:
			d.via, d.file = c.becomes()
		case len(out) < len(files):
			d.file = base(files[len(out)].s)
		case len(files) > 0 && c.name() == "wget":
			d.file = base(files[0].s)
		default:
			d.file = base(u.s)
		}
		if d.via != "" && d.file != "null" {
			out = append(out, d)
		}
	}
	return out
}

// becomes tells what is done with what a command writes to its output: "run",
// "version", "pipe", "file" with its base name, or "" when it is only shown.
func (c *call) becomes() (via, file string) {
	feeds := c.after()
	after := append([]*call{c}, feeds...)
	for _, f := range feeds {
		if readsScript(f) || f.list && isInterpreter(f.name()) {
			return "run", ""
		}
	}
	for _, f := range after {
		if f.into != nil && runsArgument(f.into) {
			return "run", ""
		}
	}
	last := after[len(after)-1]
	for _, f := range after {
		switch {
		case f.out != nil:
			return "file", base(f.out.s)
		case f.name() == "tee" && len(f.args) > 1:
			return "file", base(f.args[len(f.args)-1].s)
		case isSum(f.name()):
			return "", ""
		}
	}
	switch {
	case last.capture:
		return "version", ""
	case last.into != nil, uses(feeds):
		return "pipe", ""
	}
	return "", ""
}

// uses reports whether a pipe does something with what it reads other than
// show it: unpack it, install it, trust it.
func uses(feeds []*call) bool {
	for _, f := range feeds {
		switch f.name() {
		case "grep", "egrep", "sed", "awk", "cat", "head", "tail", "jq", "cut", "tr", "sort", "wc", "true", "less", "echo":
		default:
			return true
		}
	}
	return false
}

// runsArgument reports whether a command runs what stands in its arguments or
// comes in place of a file: sh -c "$(…)", eval, source <(…), bash <(…).
func runsArgument(c *call) bool {
	switch name := c.name(); {
	case name == "eval", name == "source", name == ".", name == "":
		return len(c.args) > 0
	case isInterpreter(name):
		for _, a := range c.args[1:] {
			if strings.HasPrefix(a.s, "-") {
				continue
			}
			return strings.Contains(a.s, unknown)
		}
		return true
	}
	return false
}

func base(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	b := path.Base(s)
	if strings.Contains(b, unknown) || b == "." || b == "/" {
		return ""
	}
	return b
}

// loopback reports whether a URL leads to the build itself: a health check.
func loopback(s string) bool {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return h == "localhost" || h == "::1" || h == "0.0.0.0" || strings.HasPrefix(h, "127.")
}

// git judges git clone and git pull at place i among the calls of a stage. A
// clone is exact when a commit is checked out of it before the next clone.
func (r *reader) git(stage, i int, calls []*call) {
	c := calls[i]
	command, l := gitCommand(c)
	report := func(w word, why string) {
		fix := "check out one commit: git clone URL && git -C FOLDER checkout COMMIT, all 40 digits of it"
		r.file.found(stage, c.line, w, touchstone.Pin{Tool: "git", What: clean(w.show()), Why: why, Fix: fix}, need{not: fix})
	}
	switch command {
	case "pull":
		report(c.args[0], "each build takes what the branch holds on that day")
	case "clone":
		if len(l.operands) == 0 || isLocal(l.operands[0].s) || strings.HasPrefix(l.operands[0].s, "file://") {
			return
		}
		if rev := l.values("--revision"); len(rev) > 0 && isCommit(rev[0].s) {
			return
		}
		for _, next := range calls[i+1:] {
			if next.name() != "git" {
				continue
			}
			sub, nl := gitCommand(next)
			if sub == "clone" {
				break
			}
			if sub == "checkout" || sub == "switch" || sub == "reset" || sub == "fetch" {
				if slices.ContainsFunc(nl.operands, func(w word) bool { return isCommit(w.s) }) {
					return
				}
			}
		}
		why := "each build takes what the default branch holds on that day"
		if len(l.values("-b", "--branch")) > 0 {
			why = "a branch or tag can be moved to another commit"
		}
		report(l.operands[0], why)
	}
}

// gitCommand takes a git command line apart: its command, and what follows.
func gitCommand(c *call) (string, line) {
	args := c.args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0].s, "-") {
		n := 1
		if args[0].s == "-C" || args[0].s == "-c" {
			n = 2
		}
		args = args[min(n, len(args)):]
	}
	if len(args) == 0 {
		return "", line{}
	}
	return args[0].s, parse(args[1:], "-b --branch -o --origin --depth -u --upload-pack --reference --reference-if-able --template "+
		"-c --config -j --jobs --filter --shallow-since --shallow-exclude --separate-git-dir --server-option --revision")
}

package pin

import (
	"encoding/csv"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"touchstone.dev/touchstone"
)

// image judges the name of an image, wherever the file takes one from.
func (r *reader) image(tool string, line int, w word, platform string) {
	_, stage := r.current()
	p := touchstone.Pin{Tool: tool, What: clean(w.show())}
	if !w.known() {
		p.Why = "the image " + w.source()
		p.Fix = "give it a default that has a digest: NAME:TAG@sha256:…"
		r.file.found(stage, line, w, p, need{})
		return
	}
	name, digest, _ := strings.Cut(w.s, "@")
	if touchstone.Digest(digest).Valid() {
		return
	}
	tag := tagOf(name)
	switch {
	case name == "":
		return
	case digest != "":
		p.Why = "what stands behind @ is no SHA-256 digest"
	case tag == "":
		p.Why = "without a tag it is whatever latest means on the day of the build"
	case tag == "latest":
		p.Why = "latest is another image with each release"
	default:
		p.Why = "the tag can be moved to another image"
	}
	p.Fix = "name the digest too: " + clean(name) + "@sha256:…"
	n := need{kind: needDigest, tool: tool, name: name, platform: platform, word: w, from: len(name), to: len(w.s), before: "@"}
	n.owned = len(name) - len(tag)
	r.file.found(stage, line, w, p, n)
}

// tagOf returns the tag of a reference, "" when it has none. A colon before a
// slash belongs to the port of the registry.
func tagOf(name string) string {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || strings.IndexByte(name[i:], '/') >= 0 {
		return ""
	}
	return name[i+1:]
}

// syntaxLine judges "# syntax=docker/dockerfile:1": the image that reads the file.
func (r *reader) syntaxLine() {
	src := r.file.source
	name, _, at, ok := parser.DetectSyntax(src.bytes)
	if !ok || len(at) == 0 || at[0].Start.Line < 1 || at[0].Start.Line >= len(src.lines) {
		return
	}
	line := at[0].Start.Line
	from := src.lines[line-1]
	whole := placed(string(src.bytes[from:src.lines[line]]), from)
	equals := strings.IndexByte(whole.s, '=')
	if equals < 0 {
		return
	}
	t, _ := whole.find(name, equals)
	r.image("syntax", line, wordAt(t), "")
}

// copyFrom judges COPY --from=IMAGE. A number or a name of an earlier stage is
// no image.
func (r *reader) copyFrom(in instruction) {
	t, ok := in.flag("from")
	if !ok {
		return
	}
	s, _ := r.current()
	r.imageOrStage("copy", in.line, r.expand(s.scope, t))
}

func (r *reader) imageOrStage(tool string, line int, w word) {
	number := w.s != "" && strings.Trim(w.s, "0123456789") == ""
	if w.s == "" || number || r.isStage(w) || strings.EqualFold(w.s, "scratch") {
		return
	}
	r.image(tool, line, w, "")
}

// mounts judges RUN --mount=…,from=IMAGE.
func (r *reader) mounts(in instruction) {
	s, _ := r.current()
	for _, f := range in.flags {
		value, ok := strings.CutPrefix(f.s, "--mount=")
		if !ok {
			continue
		}
		fields, err := csv.NewReader(strings.NewReader(value)).Read()
		if err != nil {
			continue
		}
		for _, field := range fields {
			if from, ok := strings.CutPrefix(field, "from="); ok {
				t, _ := f.find("from="+from, 0)
				r.imageOrStage("mount", in.line, r.expand(s.scope, t.slice(len("from="), len(t.s))))
			}
		}
	}
}

// add judges ADD of a URL or of a git repository.
func (r *reader) add(in instruction) {
	s, n := r.current()
	sources := in.list()
	if len(sources) < 2 {
		return
	}
	if sum, ok := in.flag("checksum"); ok && sum.s != "" {
		return // of the file, or the commit
	}
	for _, t := range sources[:len(sources)-1] {
		w := r.expand(s.scope, t)
		p := touchstone.Pin{Tool: "add", What: clean(w.show())}
		switch {
		case isGit(w.s):
			if ref := gitRef(w.s); isCommit(ref) {
				continue
			}
			p.Why = "a branch or tag can be moved to another commit"
			p.Fix = "name the commit behind #, all 40 digits of it, or give it as --checksum"
		case isURL(w.s):
			if addressed(w.s) {
				continue
			}
			p.Why = "what lies at the URL can change, and nothing checks it"
			p.Fix = "give its digest: ADD --checksum=sha256:… " + p.What
		default:
			continue
		}
		r.file.found(n, in.line, w, p, need{not: "no digest of it is known; " + p.Fix})
	}
}

func isURL(s string) bool {
	l := strings.ToLower(s)
	return strings.HasPrefix(l, "http://") || strings.HasPrefix(l, "https://") || strings.HasPrefix(l, "ftp://")
}

// isGit reports whether ADD takes the source for a git repository (Dockerfile
// reference, "ADD", "Adding files from a Git repository").
func isGit(s string) bool {
	if strings.HasPrefix(s, "git@") || strings.HasPrefix(s, "git://") || strings.HasPrefix(s, "ssh://") {
		return true
	}
	if !isURL(s) {
		return false
	}
	s, _, _ = strings.Cut(s, "#")
	s, _, _ = strings.Cut(s, "?")
	return strings.HasSuffix(s, ".git")
}

// gitRef returns the branch, tag or commit of URL#ref:folder or URL?ref=….
func gitRef(s string) string {
	base, fragment, _ := strings.Cut(s, "#")
	ref, _, _ := strings.Cut(fragment, ":")
	_, query, _ := strings.Cut(base, "?")
	for _, q := range strings.Split(query, "&") {
		for _, key := range []string{"checksum=", "commit="} {
			if v, ok := strings.CutPrefix(q, key); ok {
				return v
			}
		}
	}
	return ref
}

// isCommit reports whether s names a git commit in full: SHA-1 or SHA-256. A
// shorter one can come to fit a second commit.
func isCommit(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// addressed reports whether a URL names what it leads to by a commit, on the
// hosts where that is known to hold.
func addressed(u string) bool {
	_, rest, ok := strings.Cut(u, "://")
	if !ok {
		return false
	}
	parts := strings.Split(rest, "/")
	hosts := []string{"raw.githubusercontent.com", "github.com", "codeload.github.com", "gitlab.com"}
	if len(parts) < 4 || !slices.Contains(hosts, strings.ToLower(parts[0])) {
		return false
	}
	for _, p := range parts[3:] {
		p, _, _ = strings.Cut(p, ".")
		if isCommit(p) {
			return true
		}
	}
	return false
}

// clean removes what may be secret from a name before it is shown: the user of
// a URL and its query.
func clean(s string) string {
	scheme := strings.Index(s, "://")
	if scheme < 0 {
		return s
	}
	head, rest := s[:scheme+3], s[scheme+3:]
	host := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host = rest[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		rest = "…" + rest[i:]
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest = rest[:i] + "?…"
	}
	return head + rest
}

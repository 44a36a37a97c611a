package pin

import (
	"regexp"
	"strings"

	"touchstone.dev/touchstone"
)

// History returns the unpinned dependencies that an image's own history shows:
// created_by of each entry, bottom first, as Configuration.History holds them
// (OCI image-spec, config.md, "history"). Where is "history N", N being the
// index. It is for images whose Dockerfile is not at hand, and shows less than
// one: bases are not in a history, and neither is the checksum of an ADD, so
// that nothing is said of either. Free text, as other builders leave it, is
// passed over. A step that cannot be read is a pin of the tool "unread",
// because what it takes is not known to be exact.
func History(history []string) []touchstone.Pin {
	f := newFile("history")
	r := newReader(f)
	s := &stage{base: -1, scope: newScope(nil), posix: true}
	r.stages = append(r.stages, s)
	for i, by := range history {
		if strings.ContainsAny(by, "\x00"+unknown) {
			by = strings.NewReplacer("\x00", " ", unknown, " ").Replace(by)
		}
		r.step(s, i, strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(by), "# buildkit")))
	}
	r.downloads(0, s.calls)
	f.sorted()
	pins := f.Pins()
	for _, g := range f.gaps {
		pins = append(pins, touchstone.Pin{
			Where: g.Path, Tool: "unread", What: "a build step", Why: g.Reason,
			Fix: "check the Dockerfile itself: touchstone pin Dockerfile",
		})
	}
	return pins
}

// shellPrefix is the shell that a step was run by, up to the script.
var shellPrefix = regexp.MustCompile(`^(?:/\S*/)?(?:ba|da|a|z|k)?sh (?:[-+]\S+ (?:pipefail )?)*?-[a-zA-Z]*c `)

// otherShell is one whose scripts are not read.
var otherShell = regexp.MustCompile(`(?i)^(?:\S*[\\/])?(?:cmd(?:\.exe)? /|(?:powershell|pwsh)(?:\.exe)? )`)

// step reads one entry: docker's "/bin/sh -c …" and "/bin/sh -c #(nop) …",
// buildkit's "RUN |1 ARG=x /bin/sh -c …", kaniko's "RUN …".
func (r *reader) step(s *stage, n int, by string) {
	by, run := strings.CutPrefix(by, "RUN ")
	scope := newScope(s.scope)
	if strings.HasPrefix(by, "|") {
		by, run = buildArguments(by, scope), true
	}
	prefix := shellPrefix.FindString(by)
	if nop, ok := strings.CutPrefix(by[len(prefix):], "#(nop)"); ok {
		by, prefix, run = strings.TrimSpace(nop), "", false
	}
	switch {
	case otherShell.MatchString(by):
		r.file.gap(n, touchstone.GapUnsupported, "its shell is not a POSIX shell")
	case prefix != "" || run:
		w := &walker{
			text: unplaced(strings.TrimSpace(by[len(prefix):])), scope: scope, budget: &r.budget, line: n,
			fail: func(kind touchstone.GapKind, reason string) { r.file.gap(n, kind, reason) },
		}
		w.run()
		s.calls = append(s.calls, w.calls...)
		for _, c := range w.calls {
			r.judge(0, c)
		}
	case strings.HasPrefix(by, "ENV "), strings.HasPrefix(by, "ARG "):
		if name, value, ok := strings.Cut(strings.TrimSpace(by[4:]), "="); ok && nameLength(name) == len(name) {
			s.scope.put(name, wordAt(unplaced(value)))
		}
	case strings.HasPrefix(by, "ADD "):
		for _, field := range strings.Fields(by[4:]) {
			if isGit(field) && !isCommit(gitRef(field)) {
				r.file.found(0, n, wordAt(unplaced(field)), touchstone.Pin{
					Tool: "add", What: clean(field), Why: "a branch or tag can be moved to another commit",
					Fix: "name the commit behind #, all 40 digits of it",
				}, need{})
			}
		}
	}
}

// buildArguments reads "|2 A=x B=y z " before a shell, whose values may hold
// blanks, and returns the rest.
func buildArguments(by string, scope *scope) string {
	words := strings.Split(by, " ")
	name, value := "", ""
	for i, w := range words[1:] {
		rest := strings.Join(words[i+1:], " ")
		if len(rest) > longestScript {
			rest = rest[:longestScript]
		}
		if shellPrefix.MatchString(rest) || otherShell.MatchString(rest) {
			if name != "" {
				scope.put(name, wordAt(unplaced(value)))
			}
			return strings.Join(words[i+1:], " ")
		}
		if k, v, ok := strings.Cut(w, "="); ok && k != "" && nameLength(k) == len(k) {
			if name != "" {
				scope.put(name, wordAt(unplaced(value)))
			}
			name, value = k, v
			continue
		}
		value += " " + w
	}
	return ""
}

package rules

import (
	"strings"

	"touchstone.dev/touchstone"
)

// scope holds the waiver to saying what it is for.
func (l *waiverLoader) scope(n *node, w *touchstone.Waiver) {
	narrow := w.Advisory != "" || w.Package != ""
	switch {
	case w.WholeRule && narrow:
		l.fault(n.get("whole-rule"), "whole-rule does not go with advisory or package", "keep one or the other")
	case !w.WholeRule && !narrow && n.get("advisory") == nil && n.get("package") == nil:
		l.fault(n, "the waiver names neither advisory nor package", "name one, or say whole-rule: true to set the whole rule aside")
	case narrow && l.undivided(w.Rule):
		l.fault(n, "the rule "+w.Rule+" is about the artifact as a whole, so a waiver for a part of it does nothing", "say whole-rule: true instead of advisory or package")
	case w.WholeRule && w.Artifact == "" && n.get("artifact") == nil:
		l.warn(n, "this waiver sets the whole rule "+w.Rule+" aside for every artifact", "artifact: registry.example/shop bounds it")
	}
	if w.Package != "" {
		l.actThing(n.get("package"), w)
	}
	m, ok := measure(w.Rule)
	for _, key := range []string{"until-fix", "unless-exploited"} {
		if n.get(key) != nil && w.Rule != "" && !aboutHoles(m) {
			l.fault(n.get(key), "the rule "+w.Rule+" is not about vulnerabilities, so "+key+" never ends the waiver", "take it out; until: DATE ends it")
		}
	}
	if ok && w.Advisory != "" && !l.undivided(w.Rule) && !aboutHoles(m) {
		l.fault(n.get("advisory"), "the rule "+w.Rule+" is not about advisories", "name the package or path it is about, or say whole-rule: true")
	}
}

// actThing holds a waiver for an act on what runs to naming one path, or the digest
// of what is executed.
func (l *waiverLoader) actThing(n *node, w *touchstone.Waiver) {
	digest := strings.HasPrefix(w.Package, "sha256:")
	switch w.Rule {
	case touchstone.RuleRunUnknown, touchstone.RuleRunUnjudged, touchstone.RuleChange:
	default:
		return
	}
	switch {
	case digest && w.Rule == touchstone.RuleChange:
		l.fault(n, "a waiver for change names a path, not the digest of a content: mode and owner are changes too", "package: etc/app.conf")
	case digest && !touchstone.Digest(w.Package).Valid():
		l.fault(n, quote(w.Package)+" is not a digest", "sha256: and 64 hexadecimal digits in lower case; or a path")
	case strings.Contains(w.Package, "*"):
		l.warn(n, `"*" stands for itself in the path of a waiver`, "name one path; writable: in the rules takes patterns, for what cannot be executed")
	case strings.HasSuffix(w.Package, "/"):
		l.warn(n, "this waiver covers no file: what lies in a folder is not waived with it", "name one path; writable: in the rules takes folders, for what cannot be executed")
	}
}

// aboutHoles reports whether the rule is about vulnerabilities.
func aboutHoles(m touchstone.Measure) bool {
	return m.After || m.Name == "fix-available-for" || m.Name == "mend-within"
}

// undivided reports whether the rule fails or passes as a whole: there is no part
// of it, no vulnerability, package or path, that a waiver could name.
func (l *waiverLoader) undivided(rule string) bool {
	switch rule {
	case "stale-advisories", "no-golden-base", "old-base", "image-age", "allowed-registries", "runs-as-root",
		"surface", "executables", "unneeded-libraries", "unseen", "restart", "replace-after", "replace-deadline", "rebuild-after", "after-deadline",
		"promoted", "soak", "approvals", "frozen", "improves", "privileged", "own-command", "login":
		return true
	}
	row := l.rules.Row(rule)
	return row != nil && row.When != nil
}

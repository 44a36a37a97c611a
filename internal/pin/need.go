package pin

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// needKind says what would pin a finding.
type needKind int

const (
	needNothing needKind = iota // nothing that could be written
	needDigest
	needVersion
)

// need is what would pin a finding, and where it would be written.
type need struct {
	kind          needKind
	tool          string
	name          string // of the image or package
	platform      string
	word          word
	from, to      int    // the bytes of the word that give way to it
	before, after string // what is written around it
	owned         int    // from here on the bytes of the word are all or none of a variable (the tag)
	not           string // why it cannot be written, when kind is needNothing
}

// spec is a package as a command names it.
type spec struct {
	tool     string
	word     word
	name     string // as its registry knows it
	version  string // as written, "" for none
	exact    bool   // whether version fits one version only
	from, to int    // the bytes of the word that a version would replace
	before   string // what stands before a version: "=", "==", "@"
	after    string
	not      string // why no version can be written
	why      string // instead of the usual reason
	fix      string // instead of the usual remedy
	show     string // instead of the word
}

// spec judges one package; an exact version is no finding.
func (j *judge) spec(s spec) {
	if s.exact && !strings.Contains(s.version, unknown) {
		return
	}
	p := touchstone.Pin{Tool: s.tool, What: clean(s.word.show()), Why: s.why, Fix: s.fix}
	if s.show != "" {
		p.What = s.show
	}
	n := need{
		kind: needVersion, tool: s.tool, name: s.name, word: s.word,
		from: s.from, to: s.to, before: s.before, after: s.after,
	}
	known := !strings.Contains(s.name, unknown) && s.name != ""
	switch {
	case p.Why != "":
	case !known:
		p.Why = "the package " + s.word.source()
	case s.version == "":
		p.Why = "no version: each build takes the newest"
	case strings.Contains(s.version, unknown):
		p.Why = "its version " + s.word.source()
	default:
		p.Why = "the version fits more than one release"
	}
	switch {
	case p.Fix != "":
	case known:
		p.Fix = "name one version: " + s.name + s.before + "VERSION" + s.after
	default:
		p.Fix = "write the packages out, each with its version"
	}
	if !known || s.not != "" || strings.Contains(s.version, unknown) {
		n = need{not: s.not}
		if n.not == "" {
			n.not = p.Fix
		}
	}
	j.found(s.word, p, n)
}

// judge looks at one call for one tool.
type judge struct {
	*call
	report func(line int, w word, p touchstone.Pin, n need)
}

func (j *judge) found(w word, p touchstone.Pin, n need) { j.report(j.line, w, p, n) }

// plain reports a command that cannot be pinned in place.
func (j *judge) plain(w word, tool, what, why, fix string) {
	j.found(w, touchstone.Pin{Tool: tool, What: what, Why: why, Fix: fix}, need{not: fix})
}

// judge asks the judge of the tool that the call runs.
func (r *reader) judge(stage int, c *call) {
	j := &judge{call: c.shortened(), report: func(line int, w word, p touchstone.Pin, n need) {
		r.file.found(stage, line, w, p, n)
	}}
	j.tool()
}

// shortened returns the call with words that are too long to name anything
// taken as unknown, so that no judge spends its time on them.
func (c *call) shortened() *call {
	const longestName = 4096
	long := func(w word) bool { return len(w.s) > longestName }
	if !slices.ContainsFunc(c.args, long) {
		return c
	}
	short := *c
	short.args = slices.Clone(c.args)
	for i := range short.args {
		if w := &short.args[i]; long(*w) {
			w.text, w.raw, w.missing = unplaced(unknown), brief(w.raw), []string{"a word that is too long"}
		}
	}
	return &short
}

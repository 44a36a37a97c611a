package pin

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Edit replaces the bytes [Start, End) of the file.
type Edit struct {
	Start, End int
	New        string
}

// Fixed is a finding that was pinned.
type Fixed struct {
	Finding
	To   string // the version or digest
	Edit Edit
}

// Left is a finding that was not pinned, and why.
type Left struct {
	Finding
	Reason string
}

// Fix writes the pins that v knows into the file and returns the file so
// changed, what was pinned, and what was not, in the order of the file. Nothing
// but the pins changes. The result is read again: an edit that does not end in
// a file that lacks exactly that finding is not made.
func (f *File) Fix(v Versions) (out []byte, fixed []Fixed, left []Left) {
	asked := map[question]answer{}
	for _, x := range f.findings {
		e, to, err := f.edit(x, v, asked)
		if err != nil {
			left = append(left, Left{Finding: x, Reason: err.Error()})
			continue
		}
		fixed = append(fixed, Fixed{Finding: x, To: to, Edit: e})
	}
	out, fixed, left = f.consistent(fixed, left)
	if len(fixed) == 0 || f.lacks(out, left) {
		return out, fixed, left
	}
	return f.oneByOne(fixed, left)
}

// question and answer keep what Versions was asked, so that a registry is
// asked once for one reference.
type question struct{ kind, name, platform string }

type answer struct {
	to  string
	err error
}

// versionText is what a version may look like. It goes into a shell command,
// and the image that it comes from was made by a stranger.
var versionText = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~:_^-]{0,200}$`)

// edit says what would pin the finding.
func (f *File) edit(x Finding, v Versions, asked map[question]answer) (Edit, string, error) {
	n := x.need
	if n.kind == needNothing {
		return Edit{}, "", fmt.Errorf("%s", cmp.Or(n.not, x.Fix, "cannot be pinned in place"))
	}
	start, end, err := f.place(n)
	if err != nil {
		return Edit{}, "", err
	}
	q := question{kind: "digest", name: n.name, platform: n.platform}
	if n.kind == needVersion {
		q = question{kind: n.tool, name: n.name, platform: fmt.Sprint(x.Final)}
	}
	a, ok := asked[q]
	if !ok {
		a = ask(v, n, x.Final)
		asked[q] = a
	}
	if a.err != nil {
		return Edit{}, "", a.err
	}
	return Edit{Start: start, End: end, New: n.before + a.to + n.after}, a.to, nil
}

func ask(v Versions, n need, final bool) answer {
	if n.kind == needDigest {
		d, err := v.Digest(n.name, n.platform)
		if err == nil && !d.Valid() {
			err = fmt.Errorf("%q is no SHA-256 digest", d)
		}
		return answer{to: string(d), err: err}
	}
	to, err := v.Package(Query{Tool: n.tool, Name: n.name, Final: final})
	if err == nil && !versionText.MatchString(to) {
		err = fmt.Errorf("the version %q cannot be written into a command", to)
	}
	return answer{to: to, err: err}
}

// place says where the pin is to be written: in the word itself, or in the one
// variable that the word is taken from.
func (f *File) place(n need) (start, end int, err error) {
	start, end, ok := n.word.run(n.from, n.to)
	if !ok {
		return 0, 0, fmt.Errorf("it is put together of several values; write the version where they come from")
	}
	within := start >= n.word.start && end <= n.word.end && n.word.start != nowhere
	for _, o := range n.word.vars {
		if start < o.start || end > o.end || o.start == nowhere {
			continue
		}
		within = true
		uses, defined := f.uses(o.name), f.definitions(o.name)
		whole := n.kind == needDigest && uses == f.whole[o.name]
		if !whole && (uses != 1 || defined > 1 || f.given[o.name] > 1) {
			return 0, 0, fmt.Errorf("it comes from %s, which is used elsewhere too; write the version where it is used", o.name)
		}
	}
	if !within {
		return 0, 0, fmt.Errorf("it does not stand in the file as such; write the version where it comes from")
	}
	if n.kind == needDigest && !f.oneOwner(n, start) {
		return 0, 0, fmt.Errorf("a build argument is a part of the tag, so a digest behind it would overrule the argument; make the whole tag the argument's default, with its digest")
	}
	return start, end, nil
}

// oneOwner reports whether the tag stands all in one place: a digest written
// behind a tag that a build argument completes would make the argument do
// nothing, and nobody would see it.
func (f *File) oneOwner(n need, start int) bool {
	inVariable := func(at int) bool {
		return slices.ContainsFunc(n.word.vars, func(o origin) bool { return at >= o.start && at < o.end })
	}
	for i := n.owned; i < len(n.name); i++ {
		at := n.word.at[i]
		if at == nowhere || inVariable(at) != inVariable(start-1) {
			return false
		}
	}
	return true
}

// uses counts how often the file puts the variable in.
func (f *File) uses(name string) int {
	n := 0
	src := f.source.bytes
	for _, form := range []string{"$" + name, "${" + name} {
		for at := 0; ; {
			i := bytes.Index(src[at:], []byte(form))
			if i < 0 {
				break
			}
			at += i + len(form)
			if at == len(src) || !inName(src[at]) {
				n++
			}
		}
	}
	return n
}

// definitions counts how often the file sets the variable to something.
func (f *File) definitions(name string) int {
	n := 0
	src := f.source.bytes
	for at := 0; ; {
		i := bytes.Index(src[at:], []byte(name+"="))
		if i < 0 {
			return n
		}
		if p := at + i; p == 0 || !inName(src[p-1]) {
			n++
		}
		at += i + len(name) + 1
	}
}

func inName(c byte) bool { return nameLength("_"+string(rune(c))) == 2 }

// consistent applies the edits. Two findings may ask for the same edit, as two
// FROM of one argument do; of two that contradict, the later is left.
func (f *File) consistent(fixed []Fixed, left []Left) ([]byte, []Fixed, []Left) {
	byPlace := slices.Clone(fixed)
	slices.SortStableFunc(byPlace, func(a, b Fixed) int { return cmp.Compare(a.Edit.Start, b.Edit.Start) })
	var out bytes.Buffer
	var done []Fixed
	at, last := 0, Edit{Start: -1}
	for _, x := range byPlace {
		switch {
		case x.Edit == last:
			done = append(done, x)
			continue
		case x.Edit.Start < at || x.Edit.Start == last.Start:
			left = append(left, Left{Finding: x.Finding, Reason: "it stands where another pin was written; fix again"})
			continue
		}
		out.Write(f.source.bytes[at:x.Edit.Start])
		out.WriteString(x.Edit.New)
		at, last = x.Edit.End, x.Edit
		done = append(done, x)
	}
	out.Write(f.source.bytes[at:])
	order := func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Start, b.Start))
	}
	slices.SortStableFunc(done, func(a, b Fixed) int { return order(a.Finding, b.Finding) })
	slices.SortStableFunc(left, func(a, b Left) int { return order(a.Finding, b.Finding) })
	return out.Bytes(), done, left
}

// lacks reports whether the changed file reads as the file without the
// findings that were pinned.
func (f *File) lacks(out []byte, left []Left) bool {
	again, err := Check(f.name, out, f.options)
	if err != nil || len(again.findings) != len(left) || len(again.gaps) != len(f.gaps) {
		return false
	}
	for i, l := range left {
		if x := again.findings[i]; x.Tool != l.Tool || x.What != l.What || x.Line != l.Line {
			return false
		}
	}
	return true
}

// oneByOne makes each edit that stands the test by itself. It is for files
// that hold something strange; many findings in such a file are all left.
func (f *File) oneByOne(fixed []Fixed, left []Left) ([]byte, []Fixed, []Left) {
	const many = 50
	var good []Fixed
	for _, x := range fixed {
		if len(fixed) <= many {
			out, _, rest := f.consistent(append(slices.Clone(good), x), f.except(append(slices.Clone(good), x)))
			if f.lacks(out, rest) {
				good = append(good, x)
				continue
			}
		}
		left = append(left, Left{Finding: x.Finding, Reason: "the edit would not read as meant; " + strings.TrimSpace(x.Fix)})
	}
	out, good, left := f.consistent(good, left)
	return out, good, left
}

// except returns the findings that are not among the fixed, as left.
func (f *File) except(fixed []Fixed) []Left {
	var out []Left
	for _, x := range f.findings {
		if !slices.ContainsFunc(fixed, func(y Fixed) bool {
			return y.Start == x.Start && y.Line == x.Line && y.What == x.What && y.Tool == x.Tool
		}) {
			out = append(out, Left{Finding: x})
		}
	}
	return out
}

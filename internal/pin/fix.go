package pin

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
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
	Was  string // what the edit replaces, "" when it only adds
	Edit Edit
}

// Left is a finding that was not pinned, and why.
type Left struct {
	Finding
	Reason string
}

// Fix writes the pins that v knows into the file and returns the file so
// changed, what was pinned, and what was not, in the order of the file. Nothing
// but the pins changes, and fixing the result again changes nothing.
//
// The result is read again before it is returned: an edit that does not end in
// a file that lacks exactly that finding is not made.
func (f *File) Fix(v Versions) (out []byte, fixed []Fixed, left []Left) {
	out, fixed, left, sure := f.fix(v)
	if sure {
		return out, fixed, left
	}
	// The file holds something strange, so some edits were given up. They
	// must not come to fit the next time.
	if again, err := Check(f.name, out, f.options); err == nil {
		if _, more, _, _ := again.fix(v); len(more) == 0 {
			return out, fixed, left
		}
	}
	left = left[:0]
	for _, x := range f.findings {
		left = append(left, Left{Finding: x, Reason: notAsMeant})
	}
	return bytes.Clone(f.source.bytes), nil, left
}

const notAsMeant = "the file would not read as meant with the pin in it; write it by hand"

// fix is Fix; sure is false when edits had to be given up.
func (f *File) fix(v Versions) (out []byte, fixed []Fixed, left []Left, sure bool) {
	asked := map[question]answer{}
	for _, x := range f.findings {
		e, to, err := f.edit(x, v, asked)
		if err != nil {
			left = append(left, Left{Finding: x, Reason: err.Error()})
			continue
		}
		fixed = append(fixed, Fixed{Finding: x, To: to, Was: string(f.source.bytes[e.Start:e.End]), Edit: e})
	}
	fixed, left = apart(fixed, left)
	if out = f.apply(fixed); len(fixed) == 0 || f.lacks(out, left) {
		return out, fixed, left, true
	}
	fixed, left = f.oneByOne(fixed, left)
	return f.apply(fixed), fixed, left, false
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
		return 0, 0, fmt.Errorf("it does not stand in the file in one piece; write the version where it comes from")
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
	n, ok := f.used[name]
	if ok {
		return n
	}
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
	f.used[name] = n
	return n
}

// definitions counts how often the file sets the variable to something.
func (f *File) definitions(name string) int {
	n, ok := f.defined[name]
	if ok {
		return n
	}
	src := f.source.bytes
	for at := 0; ; {
		i := bytes.Index(src[at:], []byte(name+"="))
		if i < 0 {
			f.defined[name] = n
			return n
		}
		if p := at + i; p == 0 || !inName(src[p-1]) {
			n++
		}
		at += i + len(name) + 1
	}
}

func inName(c byte) bool { return nameLength("_"+string(rune(c))) == 2 }

// apart leaves edits that stand in each other's way. Two findings may ask for
// the same edit, as two FROM of one argument do.
func apart(fixed []Fixed, left []Left) ([]Fixed, []Left) {
	byPlace := slices.Clone(fixed)
	slices.SortStableFunc(byPlace, func(a, b Fixed) int { return cmp.Compare(a.Edit.Start, b.Edit.Start) })
	clash := map[Edit]bool{}
	var last Edit
	for i, x := range byPlace {
		if i > 0 && x.Edit != last && (x.Edit.Start < last.End || x.Edit.Start == last.Start) {
			clash[x.Edit], clash[last] = true, true
		}
		if i == 0 || x.Edit.End >= last.End {
			last = x.Edit
		}
	}
	var done []Fixed
	for _, x := range fixed {
		if clash[x.Edit] {
			left = append(left, Left{Finding: x.Finding, Reason: "another pin would stand in the same place; write both by hand"})
			continue
		}
		done = append(done, x)
	}
	slices.SortStableFunc(left, func(a, b Left) int { return order(a.Finding, b.Finding) })
	return done, left
}

// apply makes the edits, which do not overlap.
func (f *File) apply(fixed []Fixed) []byte {
	edits := make([]Edit, 0, len(fixed))
	for _, x := range fixed {
		edits = append(edits, x.Edit)
	}
	slices.SortFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) })
	var out bytes.Buffer
	at := 0
	for _, e := range slices.Compact(edits) {
		out.Write(f.source.bytes[at:e.Start])
		out.WriteString(e.New)
		at = e.End
	}
	out.Write(f.source.bytes[at:])
	return out.Bytes()
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

// oneByOne makes each edit that stands the test by itself. Of many findings in
// a strange file all are left, because each test reads the whole file.
func (f *File) oneByOne(fixed []Fixed, left []Left) ([]Fixed, []Left) {
	const many = 50
	var good []Fixed
	for _, x := range fixed {
		if len(fixed) <= many {
			try := append(slices.Clone(good), x)
			if f.lacks(f.apply(try), f.except(try)) {
				good = try
				continue
			}
		}
		left = append(left, Left{Finding: x.Finding, Reason: notAsMeant})
	}
	slices.SortStableFunc(left, func(a, b Left) int { return order(a.Finding, b.Finding) })
	return good, left
}

// except returns the findings that are not among the fixed, as left.
func (f *File) except(fixed []Fixed) []Left {
	var out []Left
	for _, x := range f.findings {
		if !slices.ContainsFunc(fixed, func(y Fixed) bool { return y.number == x.number }) {
			out = append(out, Left{Finding: x})
		}
	}
	return out
}

package rules

import (
	"io"
	"strings"

	"touchstone.dev/touchstone"
)

// ShowMarkdown writes the rules as a document in Markdown (GitHub's), for a wiki or
// a pull request.
func ShowMarkdown(w io.Writer, r *touchstone.Rules) error {
	p := &page{}
	p.line("# Rules of the road")
	for _, s := range sections(r) {
		p.line("\n## %s\n", s.title)
		head := []string{"rule"}
		rule := "| --- |"
		for _, e := range r.Environments {
			head, rule = append(head, cellMarkdown(e)), rule+" --- |"
		}
		p.line("| %s | why |\n%s --- |", strings.Join(head, " | "), rule)
		for _, row := range s.rows {
			cells := []string{cellMarkdown(row.Name)}
			for _, c := range row.Cells {
				cells = append(cells, cellText(row.Name, c))
			}
			var why []string
			for _, s := range remarks(row) {
				why = append(why, cellMarkdown(s))
			}
			p.line("| %s | %s |", strings.Join(cells, " | "), strings.Join(why, "<br>"))
		}
	}
	for _, list := range lists(r) {
		p.line("\n## %s\n", list.title)
		for _, s := range list.lines {
			p.line("- %s", cellMarkdown(s))
		}
	}
	p.line("\n## Places\n")
	for i := range r.Places {
		p.line("%d. %s", i+1, cellMarkdown(placeText(&r.Places[i])))
	}
	p.line("%d. everything else: %s, application", len(r.Places)+1, cellMarkdown(r.Environments[len(r.Environments)-1]))
	if len(r.Classes) > 0 {
		p.line("\n## Classes\n")
	}
	for i := range r.Classes {
		p.line("- %s", cellMarkdown(classText(&r.Classes[i])))
	}
	p.line("\n## Waivers\n")
	for _, s := range policyText(r) {
		p.line("- %s", cellMarkdown(s))
	}
	for _, s := range goldenText(r) {
		p.line("\n## Golden bases\n\n- %s", cellMarkdown(s))
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// cellMarkdown escapes what Markdown or HTML would read as more than text.
func cellMarkdown(s string) string {
	var b strings.Builder
	for _, r := range Printable(s) {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '@':
			b.WriteString("&#64;") // nobody is to be called upon by a name in a table
		case strings.ContainsRune("\\`*_[]|#~!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

package report

import (
	"path"
	"strings"
)

// sarifText escapes a message (SARIF 2.1.0, 3.11): brackets would begin a link
// (3.11.6), braces a placeholder (3.11.5), and a backslash escapes.
func sarifText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "{", "{{", "}", "}}").Replace(visible(s))
}

// sarifLine is what a rule says of itself in one line (3.12).
func sarifLine(line string) sarifMessage {
	return sarifMessage{Text: cut(visible(line), longest, "…")}
}

// sarifLines is what a rule says of itself at length, a paragraph for each line;
// in Markdown too, as which it is shown.
func sarifLines(lines ...string) sarifMessage {
	var plain, marked []string
	for _, l := range lines {
		l = cut(visible(l), longest, "…")
		plain, marked = append(plain, l), append(marked, mdText(l))
	}
	return sarifMessage{strings.Join(plain, "\n\n"), strings.Join(marked, "\n\n")}
}

// relativeURI turns the path of a file inside an artifact into a relative URI
// (RFC 3986, section 4.2) that never leaves the artifact: dots are resolved and
// everything but unreserved characters is percent-encoded.
func relativeURI(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex2(c)))
		}
	}
	return b.String()
}

package report

import (
	"strings"
	"unicode"
)

// mdCode writes a stranger's string as a code span (GFM, section 6.3): nothing
// inside is taken as markup, as HTML, as a link or as a mention of somebody. A
// backtick would end the span and is written as \x60.
//
// In a cell of a table a pipe must be escaped even there (section 4.10); after
// a backslash that would not hold, so the pipe is written as \x7c.
func mdCode(s string) string {
	s = strings.ReplaceAll(visible(s), "`", `\x60`)
	if strings.Contains(s, `\|`) {
		s = strings.ReplaceAll(s, "|", `\x7c`)
	}
	s = strings.TrimSpace(strings.ReplaceAll(s, "|", `\|`))
	if s == "" {
		return ""
	}
	if strings.HasSuffix(s, `\`) {
		s += " " // "\`" is no escape in a code span, but not every reader knows
	}
	return "`" + s + "`"
}

// mdText writes a sentence in which strangers' names may stand: every word that
// is not plain becomes a code span, so that a file called "@all" mentions nobody
// and one called "[x](y)" links nowhere.
func mdText(s string) string {
	words := strings.Fields(visible(s))
	for i, w := range words {
		if !plainWord(w) {
			words[i] = mdCode(w)
		}
	}
	return strings.Join(merge(words), " ")
}

// merge joins code spans that stand beside each other into one.
func merge(words []string) []string {
	out := words[:0]
	for _, w := range words {
		if n := len(out) - 1; n >= 0 && isCode(out[n]) && isCode(w) {
			out[n] = strings.TrimSuffix(out[n], "`") + " " + strings.TrimPrefix(w, "`")
			continue
		}
		out = append(out, w)
	}
	return out
}

func isCode(w string) bool { return len(w) > 1 && w[0] == '`' && w[len(w)-1] == '`' }

// plainWord reports whether Markdown takes no notice of a word wherever it
// stands within a line: letters, digits and a few signs, and no address.
func plainWord(w string) bool {
	for _, r := range w {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".,;:()%'\"/+=-–…→≤≥?", r) {
			return false
		}
	}
	lower := strings.ToLower(w)
	return !strings.Contains(lower, "//") && !strings.Contains(lower, "www.") && !strings.HasPrefix(lower, "/")
}

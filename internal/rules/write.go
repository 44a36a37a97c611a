package rules

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"touchstone.dev/touchstone"
)

// plainPattern is what YAML reads as a text without quotes, and as nothing else.
var plainPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/@+-]*( [A-Za-z0-9._/@+-]+)*$`)

// WriteWaivers writes waivers as a file that LoadWaivers reads to the same
// waivers.
func WriteWaivers(waivers []touchstone.Waiver) []byte {
	var b bytes.Buffer
	if len(waivers) == 0 {
		b.WriteString("[]\n")
	}
	for i := range waivers {
		if i > 0 {
			b.WriteByte('\n')
		}
		writeWaiver(&b, &waivers[i])
	}
	return b.Bytes()
}

// AppendWaivers adds waivers to the end of a file and leaves the rest as it is,
// its comments and order included. Only a file that is one list in brackets
// cannot be added to.
func AppendWaivers(old []byte, more []touchstone.Waiver) ([]byte, error) {
	if len(more) == 0 {
		return old, nil
	}
	r := newReader("", old)
	root := r.parse(old, waiverBounds())
	switch {
	case len(r.problems) > 0:
		return nil, r.err()
	case root == nil && len(bytes.TrimSpace(old)) == 0:
		return WriteWaivers(more), nil
	case root == nil || root.kind == kindList && len(root.items) == 0:
		kept := bytes.TrimSuffix(bytes.TrimRight(old, "\n\t\r "), []byte("[]"))
		return append(bytes.TrimRight(kept, " "), append([]byte("\n"), WriteWaivers(more)...)...), nil
	case root.kind != kindList || strings.HasPrefix(strings.TrimSpace(r.lines[root.line-1]), "["):
		return nil, usage("waivers cannot be added to a file that is no list of lines", "write each waiver as lines that begin with \"- \"")
	}
	indent := bytes.Repeat([]byte(" "), root.column-1)
	out := append(bytes.TrimRight(bytes.Clone(old), "\n\t\r "), '\n', '\n')
	for line := range bytes.Lines(WriteWaivers(more)) {
		if len(bytes.TrimSpace(line)) > 0 {
			out = append(out, indent...)
		}
		out = append(out, line...)
	}
	return out, nil
}

func writeWaiver(b *bytes.Buffer, w *touchstone.Waiver) {
	lead := "- "
	field := func(key, value string) {
		if value != "" {
			fmt.Fprintf(b, "%s%s: %s\n", lead, key, value)
			lead = "  "
		}
	}
	text := func(key, value string) {
		if value != "" {
			field(key, scalar(value))
		}
	}
	text("id", w.ID)
	text("rule", w.Rule)
	text("artifact", w.Artifact)
	text("advisory", w.Advisory)
	text("package", w.Package)
	if w.WholeRule {
		field("whole-rule", "true")
	}
	if len(w.Environments) > 0 {
		names := make([]string, len(w.Environments))
		for i, e := range w.Environments {
			names[i] = scalar(e)
		}
		field("environments", "["+strings.Join(names, ", ")+"]")
	}
	text("owner", w.Owner)
	text("approved-by", w.ApprovedBy)
	text("reason", w.Reason)
	field("until", untilText(w.Until))
	if w.UntilFix {
		field("until-fix", "true")
	}
	if w.UnlessExploited {
		field("unless-exploited", "true")
	}
	if w.ScoreAbove > 0 {
		field("score-above", strconv.FormatFloat(w.ScoreAbove, 'f', -1, 64))
	}
}

// untilText writes the end of a day as that day, and any other instant in full.
func untilText(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	return t.Format(time.RFC3339Nano)
}

// scalar quotes a text where YAML could read it as something else.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf":
		return strconv.Quote(s)
	}
	if plainPattern.MatchString(s) {
		return s
	}
	return quoted(s)
}

// quoted writes a double-quoted YAML scalar (YAML 1.2.2, section 7.3.1). What
// is not UTF-8 becomes U+FFFD, for a YAML file cannot hold it.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsGraphic(r) && !isDirection(r) && r != '\u00a0' && r != '\ufeff':
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

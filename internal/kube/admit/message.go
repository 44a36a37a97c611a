package admit

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rules"
)

const (
	longestMessage = 4 << 10 // bytes of a refusal
	longestLine    = 600     // bytes of one line of it
	// The API server cuts warnings off at 256 characters each, and drops those
	// beyond 4,096 of all together (admission/v1, AdmissionResponse.Warnings).
	longestWarning = 250
	mostWarnings   = 8
)

// The ranks of what is not let in, the worst for whoever asks first: what will
// not be let in however often it is tried.
const (
	rankRefused = iota
	rankUnseen
	rankUndecided
)

func (j *judged) rank() int {
	switch {
	case j.late:
		return rankRefused
	case j.err != nil:
		return rankUndecided
	case j.answer.Decision.Verdict != touchstone.Refused:
		return rankUndecided
	case j.unseenAlone():
		return rankUnseen
	default:
		return rankRefused
	}
}

// unseenAlone reports whether nothing speaks against the image but that nobody has
// looked into it yet.
func (j *judged) unseenAlone() bool {
	if !j.answer.Scanning {
		return false
	}
	why := j.answer.Decision.Reasons
	return !slices.ContainsFunc(why, func(r touchstone.Reason) bool { return r.Refuses() && r.Rule != "unseen" })
}

// digest returns the digest that was judged; "" when none is known.
func (j *judged) digest() touchstone.Digest {
	if j.answer == nil {
		return ""
	}
	return digestOf(j.answer)
}

// label names the image as the pod writes it, with its container.
func (j *judged) label() string {
	name := clip(j.part.image, 300)
	if j.part.name != "" {
		name += " (" + clip(j.part.name, 63) + ")"
	}
	return name
}

// line is the verdict on one image with the worst reason.
func (j *judged) line() string {
	switch {
	case j.late:
		return "refused: " + j.label() + " was added after it was judged, and has no digest"
	case j.err != nil:
		cause, _ := parted(j.err.Error())
		return "undecided: " + j.label() + ": " + cause
	case j.unseenAlone():
		return "refused: " + j.label() + " was not seen before: scan started, try again in about 10 s"
	}
	d := &j.answer.Decision
	said := string(d.Verdict) + ": " + j.label()
	if len(d.Reasons) > 0 {
		said += ": " + reason(&d.Reasons[0])
		if d.Reasons[0].Allowed != "" {
			said += "; " + d.Place.Environment + " allows: " + d.Reasons[0].Allowed
		}
	}
	return said
}

func reason(why *touchstone.Reason) string { return why.Rule + ": " + clip(why.Seen, 300) }

// warnings are what is to be known of an image that is let in.
func (j *judged) warnings() []string {
	var out []string
	d := &j.answer.Decision
	switch {
	case d.Verdict != touchstone.Allowed && j.unseenAlone():
		out = append(out, warning("would be "+j.line()))
	case d.Verdict != touchstone.Allowed:
		out = append(out, warning("would be "+j.line()+seeAll(j.answer.ID)))
	case j.answer.Scanning:
		out = append(out, warning(j.label()+" was not seen before: let in, and being scanned"))
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		told := fmt.Sprintf("%s runs on with a finding: %s", j.label(), strings.TrimSpace(f.Rule+" "+f.Thing))
		if !f.Deadline.IsZero() {
			told += ", to be mended by " + f.Deadline.UTC().Format(time.DateOnly)
		}
		out = append(out, warning(told))
	}
	for i := range d.Reasons {
		why := &d.Reasons[i]
		if why.Effect == touchstone.EffectWarn && (why.Outcome == touchstone.Fail || why.Outcome == touchstone.Unknown) && why.Rule != "unseen" {
			out = append(out, warning(j.label()+": "+reason(why)))
		}
	}
	return out
}

// message tells a person why something is refused: the verdict with the worst
// reason, what puts it right, what else there is, and how to see everything. bad is
// sorted, the worst first.
func message(bad []judged) string {
	worst := &bad[0]
	lines := []string{worst.line()}
	switch {
	case worst.late:
		lines = append(lines, "fix: give it a digest (NAME:TAG@DIGEST) in whatever adds it, or let that run before the gate; its configuration must say reinvocationPolicy: IfNeeded")
	case worst.err != nil:
		_, hint := parted(worst.err.Error())
		lines = append(lines, fix(hint))
	default:
		lines = append(lines, remedies(worst.answer)...)
	}
	if n := len(bad) - 1; n > 0 {
		const most = 5
		var others []string
		for i := 1; i < len(bad) && i <= most; i++ {
			others = append(others, bad[i].label())
		}
		if n > most {
			others = append(others, fmt.Sprintf("%d others", n-most))
		}
		lines = append(lines, "not let in either: "+strings.Join(others, ", "))
	}
	if worst.answer != nil && worst.answer.ID != "" && !worst.late {
		lines = append(lines, "all reasons: touchstone decisions "+worst.answer.ID)
	}
	return joined(lines)
}

// remedies are the lines after the verdict.
func remedies(a *gate.Answer) []string {
	var lines, also []string
	for i := range a.Decision.Reasons {
		why := &a.Decision.Reasons[i]
		switch {
		case i == 0:
			lines = append(lines, fix(why.Fix))
		case why.Rule == touchstone.RuleImproves && why.Effect == touchstone.EffectWarn:
			lines = append(lines, "it is "+clip(why.Seen, 300), fix(why.Fix))
		case why.Refuses() || why.Stalls():
			also = append(also, reason(why))
		}
	}
	const most = 4
	if n := len(also); n > most {
		also = append(also[:most], fmt.Sprintf("%d more", n-most))
	}
	if len(also) > 0 {
		lines = append(lines, "also: "+strings.Join(also, "; "))
	}
	return lines
}

func fix(how string) string {
	if how == "" {
		return ""
	}
	return "fix: " + how
}

func seeAll(id string) string {
	if id == "" {
		return ""
	}
	return " (touchstone decisions " + id + ")"
}

// text is a refusal of the webhook's own.
func text(verdict, hint string) string { return joined([]string{verdict, fix(hint)}) }

// joined makes a message of lines: printable, and not too long.
func joined(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		l = clip(rules.Printable(l), longestLine)
		if l == "" || b.Len()+len(l)+1 > longestMessage {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l)
	}
	return b.String()
}

func warning(s string) string { return clip(rules.Printable(s), longestWarning) }

// few returns the warnings that people will read, each once.
func few(all []string) []string {
	var out []string
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
		if len(out) > mostWarnings {
			out[mostWarnings] = "there is more; see: touchstone decisions"
			break
		}
	}
	return out
}

// clip shortens s to at most so many bytes.
func clip(s string, most int) string {
	const dots = "…"
	if len(s) <= most {
		return s
	}
	cut := most - len(dots)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + dots
}

// parted cuts an error into what happened and what to do next.
func parted(err string) (cause, hint string) {
	cause, hint, _ = strings.Cut(err, "\nhint: ")
	return cause, hint
}

// audited are the annotations for the cluster's audit log: which decisions were
// taken.
func audited(all []judged) map[string]string {
	const most = 50
	var ids []string
	for i := range all {
		if a := all[i].answer; a != nil && a.ID != "" && len(ids) < most {
			ids = append(ids, a.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return map[string]string{"decisions": strings.Join(ids, " ")}
}

package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// RuntimeLine tells an event in one line: what happened, where, by which rule, what
// was done, and what to do.
func RuntimeLine(e *touchstone.RuntimeEvent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s", e.At.UTC().Format("2006-01-02T15:04:05Z"), visible(e.ID), strings.ToUpper(doneWord(e)))
	if e.Kind == touchstone.EventGuard {
		fmt.Fprintf(&b, "  %s", visible(e.Trouble))
		return b.String()
	}
	fmt.Fprintf(&b, "  %s: %s", visible(Subject(e)), visible(RuntimeWhat(e)))
	if l := e.Login; l != nil && !l.Ended.IsZero() {
		fmt.Fprintf(&b, " ended after %s, %d programs", l.Ended.Sub(e.At).Truncate(time.Millisecond), len(e.Tree))
		return b.String()
	}
	if e.Count > 1 {
		fmt.Fprintf(&b, " (%d times more until %s)", e.Count, e.Last.UTC().Format("15:04:05Z"))
	}
	if e.Kind == touchstone.EventReplaced {
		return b.String()
	}
	if e.Reason.Rule != "" {
		fmt.Fprintf(&b, "; rule %s in %s: %s", visible(e.Reason.Rule), visible(e.Place.Environment), visible(e.Reason.Allowed))
	}
	if e.Reason.Fix != "" {
		fmt.Fprintf(&b, "; fix: %s", visible(e.Reason.Fix))
	}
	return b.String()
}

// doneWord is the hardest thing that was done.
func doneWord(e *touchstone.RuntimeEvent) string {
	word := "told"
	switch e.Kind {
	case touchstone.EventGuard:
		return "guard"
	case touchstone.EventReplaced:
		return "replaced"
	}
	for _, s := range e.Steps {
		if s.Problem == "" && s.Do != touchstone.DeedTold {
			word = string(s.Do)
		}
	}
	if word == "told" && e.Action == touchstone.EffectAlert {
		return "alert"
	}
	return word
}

// Subject names where an event happened, as people call it.
func Subject(e *touchstone.RuntimeEvent) string {
	r := &e.Running
	switch {
	case r.Pod != "":
		return r.Namespace + "/" + r.Pod + "/" + r.Workload.Container
	case r.ID == "host":
		return "host " + e.Node
	case len(r.ID) > 12:
		return r.ID[:12]
	default:
		return r.ID
	}
}

// RuntimeWhat says what happened, without where.
func RuntimeWhat(e *touchstone.RuntimeEvent) string {
	switch {
	case e.Kind == touchstone.EventReplaced:
		return "replaced by " + e.ReplacedBy
	case e.Trouble != "":
		return e.Trouble
	case e.Reason.Seen != "":
		return e.Reason.Seen + byWhom(e)
	case e.Execution != nil:
		return "executes " + e.Execution.Path + byWhom(e)
	case e.Drift != nil:
		return string(e.Drift.Change) + " " + e.Drift.Path
	case e.Login != nil:
		return string(e.Login.Kind) + " by " + e.Login.By
	default:
		return string(e.Kind)
	}
}

func byWhom(e *touchstone.RuntimeEvent) string {
	if e.Process == nil || e.Process.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" (by %s, pid %d, uid %d)", e.Process.Path, e.Process.PID, e.Process.UID)
}

// RuntimeEvent tells all that is known of one event.
func RuntimeEvent(w io.Writer, e *touchstone.RuntimeEvent) error {
	var b strings.Builder
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-10s %s\n", label, visible(value))
		}
	}
	fmt.Fprintf(&b, "%s  %s\n\n", strings.ToUpper(doneWord(e)), visible(RuntimeWhat(e)))
	row("event", e.ID)
	row("when", e.At.UTC().Format(time.RFC3339))
	row("where", Subject(e)+" on node "+e.Node)
	row("artifact", e.Artifact.Label())
	row("place", placeWords(&e.Place))
	if x := e.Execution; x != nil {
		row("executed", fmt.Sprintf("%s %s, %s, %s", x.Kind, x.Path, size(x.Size), x.SHA256))
		row("volume", x.Volume)
		row("unjudged", x.Unjudged)
	}
	if d := e.Drift; d != nil {
		row("expected", fileWords(d.Want))
		row("there is", fileWords(d.Have))
		row("managed by", d.Managed)
	}
	if l := e.Login; l != nil {
		loginRows(row, l)
	}
	if e.Process != nil {
		row("process", processWords(e.Process))
	}
	for i := range e.Tree {
		row("", processWords(&e.Tree[i]))
	}
	row("rule", e.Reason.Rule+": "+e.Reason.Allowed)
	row("because", e.Reason.Because)
	row("owner", e.Reason.Owner)
	if e.Reason.Waiver != nil {
		row("waived", e.Reason.Waiver.ID+" until "+e.Reason.Waiver.Until.UTC().Format(time.RFC3339))
	}
	for _, s := range e.Steps {
		text := string(s.Do)
		if s.Layer != "" {
			text += " by " + s.Layer
		}
		if s.Problem != "" {
			text = "not " + text + ": " + s.Problem
			if s.Do == touchstone.DeedTold {
				text = "told only: " + s.Problem
			}
		}
		row("done", s.At.UTC().Format("15:04:05.000Z")+" "+text)
	}
	row("replaced", e.ReplacedBy)
	row("fix", e.Reason.Fix)
	_, err := io.WriteString(w, b.String())
	return err
}

func loginRows(row func(label, value string), l *touchstone.Login) {
	row("who", l.By)
	row("from", l.From)
	row("command", strings.Join(l.Command, " "))
	if l.TTY {
		row("terminal", "yes")
	}
	if l.Admitted == "" {
		row("admitted", "admission never saw this session")
	} else {
		row("admitted", "decision "+l.Admitted)
	}
	if !l.Ended.IsZero() {
		row("ended", l.Ended.UTC().Format(time.RFC3339))
	}
}

func placeWords(p *touchstone.Place) string {
	parts := []string{p.Environment, string(p.Class)}
	for _, s := range []string{p.Cluster, p.Namespace, p.Sensitivity} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

func fileWords(f *touchstone.File) string {
	if f == nil {
		return "nothing"
	}
	text := fmt.Sprintf("%s, mode %04o, owner %d:%d", f.Kind, f.Mode, f.UID, f.GID)
	if f.Kind == touchstone.FileRegular {
		text += ", " + size(f.Size)
	}
	if f.SHA256 != "" {
		text += ", " + string(f.SHA256)
	}
	if f.Link != "" {
		text += ", to " + f.Link
	}
	return text
}

func processWords(p *touchstone.Process) string {
	text := fmt.Sprintf("%d %s", p.PID, p.Path)
	if len(p.Command) > 0 {
		text += ": " + strings.Join(p.Command, " ")
	}
	return fmt.Sprintf("%s (uid %d, parent %d)", text, p.UID, p.Parent)
}

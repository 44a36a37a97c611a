package touchstone

import (
	"fmt"
	"strings"
)

// Line tells the event in one sentence to people: what was seen and where, by which
// rule, what was done, and what to do. What is in it was named by strangers: whoever
// shows it escapes it.
func (e *RuntimeEvent) Line() string {
	parts := []string{e.seen() + e.where()}
	if e.Count > 1 {
		parts[0] += fmt.Sprintf(", %d times", e.Count)
	}
	if e.Reason.Rule != "" {
		rule := "the rule " + e.Reason.Rule
		if e.Action != "" {
			rule += " says " + string(e.Action)
		}
		parts = append(parts, rule)
	}
	if done := e.done(); done != "" {
		parts = append(parts, done)
	}
	if e.ReplacedBy != "" {
		parts = append(parts, "replaced by "+e.ReplacedBy)
	} else if e.Reason.Fix != "" {
		parts = append(parts, "to do: "+e.Reason.Fix)
	}
	return strings.Join(parts, "; ")
}

// seen is what was seen.
func (e *RuntimeEvent) seen() string {
	switch {
	case e.Execution != nil && e.Execution.Unjudged != "":
		return fmt.Sprintf("%s %s was started and not judged (%s)", e.Execution.Kind, e.Execution.Path, e.Execution.Unjudged)
	case e.Execution != nil:
		return fmt.Sprintf("%s %s, which is not in the image, was started", e.Execution.Kind, e.Execution.Path)
	case e.Drift != nil:
		return fmt.Sprintf("file %s %s", e.Drift.Path, e.Drift.Change)
	case e.Login != nil:
		return e.Login.line()
	case e.Trouble != "":
		return "the guard: " + e.Trouble
	case e.Kind == EventReplaced:
		return "a clean container is in place"
	default:
		return string(e.Kind)
	}
}

func (l *Login) line() string {
	out := "login by " + string(l.Kind)
	if l.By != "" {
		out += " of " + l.By
	}
	if l.From != "" {
		out += " from " + l.From
	}
	if len(l.Command) > 0 {
		out += " (" + strings.Join(l.Command, " ") + ")"
	}
	switch l.Kind {
	case LoginExec, LoginAttach, LoginDebug:
		if l.Admitted == "" {
			out += ", which the cluster's door never saw"
		}
	}
	return out
}

func (e *RuntimeEvent) where() string {
	r := &e.Running
	switch {
	case r.Pod != "" && r.Workload.Container != "":
		return fmt.Sprintf(" in %s/%s (%s)", r.Namespace, r.Pod, r.Workload.Container)
	case r.Pod != "":
		return fmt.Sprintf(" in %s/%s", r.Namespace, r.Pod)
	case e.Node != "":
		return " on " + e.Node
	default:
		return ""
	}
}

// done is the hardest that was done, and what could not be.
func (e *RuntimeEvent) done() string {
	var hardest, problem string
	for i := range e.Steps {
		if s := &e.Steps[i]; s.Problem == "" {
			hardest = string(s.Do)
		} else {
			problem = fmt.Sprintf("could not be %s: %s", s.Do, s.Problem)
		}
	}
	switch {
	case hardest == "":
		return problem
	case problem == "":
		return "it was " + hardest
	default:
		return "it was " + hardest + ", and " + problem
	}
}

package touchstone

import (
	"path"
	"slices"
	"strings"
)

// settings asks a rule about what the workload sets for its container.
func (q *query) settings() {
	s := &q.c.Question.Settings
	switch q.row.Name {
	case "privileged":
		if s.Privileged {
			q.failUnlessWaived("runs privileged: as root of the node", "take privileged out, and add the one capability that is needed")
			return
		}
		q.pass("not privileged")
	case "added-capabilities":
		q.faults(q.beyond(s.Capabilities, capability), "added capability", "take it out of the workload, or have it listed under allow")
	case "host-access":
		q.faults(q.beyond(s.Host, ofHost), "part of the node that is shared", "take it out of the workload, or have it listed under allow")
	case "own-command":
		q.ownCommand(s)
	}
}

// beyond returns the things, as the function writes them, that no entry of the
// row's list allows.
func (q *query) beyond(things []string, write func(string) string) []string {
	var out []string
	for _, thing := range things {
		t := write(thing)
		allowed := slices.ContainsFunc(q.row.List, func(pattern string) bool {
			p := write(pattern)
			return p == t || t != "ALL" && MatchName(p, t)
		})
		if !allowed && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// capability writes one as Kubernetes does: NET_ADMIN, not cap_net_admin.
func capability(s string) string { return strings.TrimPrefix(strings.ToUpper(s), "CAP_") }

// ofHost writes what is shared of the node: a path without detours, or the name
// of a namespace.
func ofHost(s string) string {
	s = strings.TrimPrefix(s, "path ")
	if strings.HasPrefix(s, "/") {
		return path.Clean(s)
	}
	return s
}

// ownCommand fails where the workload runs another program than the image names.
// Arguments to the image's own program are none, unless that is a shell. What the
// arguments say is not repeated: secrets hide in them.
func (q *query) ownCommand(s *Settings) {
	const fix = "let the image say what it runs"
	var own []string
	if q.c.Evidence != nil {
		own = q.c.Evidence.Configuration.Entrypoint
	}
	switch {
	case len(s.Command) > 0 && !slices.Equal(s.Command, own):
		q.failUnlessWaived("runs "+s.Command[0]+" instead of what the image names", fix)
	case len(s.Args) > 0 && q.c.Evidence != nil && slices.Equal(s.Args, q.c.Evidence.Configuration.Command):
		q.pass("runs what the image names")
	case len(s.Args) > 0 && len(own) == 0:
		q.failUnlessWaived("runs "+s.Args[0]+": the image names no program of its own", fix)
	case len(s.Args) > 0 && q.shell(own[0]):
		q.failUnlessWaived("tells the image's shell "+own[0]+" what to run", fix)
	default:
		q.pass("runs what the image names")
	}
}

// shell reports whether the program is a shell.
func (q *query) shell(program string) bool {
	switch path.Base(program) {
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "toybox", "env":
		return true
	}
	return q.c.Evidence != nil && slices.Contains(q.c.Evidence.Surface.Shells, strings.TrimPrefix(path.Clean(program), "/"))
}

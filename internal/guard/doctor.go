package guard

import (
	"strings"

	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/fanotify"
)

// Facts are what this kernel allows a guard, and what follows from that.
type Facts struct {
	Schema  string   `json:"schema"` // touchstone.dev/guard-doctor/v1
	Facts   []Fact   `json:"facts"`
	Summary []string `json:"summary"` // sentences for people
}

// Fact is one thing that the kernel, or this process, has or has not.
type Fact struct {
	Layer string `json:"layer"` // fanotify, bpf, drift
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Note  string `json:"note,omitempty"` // what was found, or what is missing without it
}

// Doctor tries what a guard needs of the kernel. It changes nothing.
func Doctor() *Facts {
	d := &Facts{Schema: "touchstone.dev/guard-doctor/v1", Summary: []string{}}
	f := fanotify.Probe()
	fact := func(layer, name string, ok bool, note string) { d.Facts = append(d.Facts, Fact{layer, name, ok, note}) }
	fact(layerFanotify, "permission events", f.Permission, orElse(f.Problem, "executions are asked about before they happen"))
	fact(layerFanotify, "marks on file systems", f.Filesystem, "a container's whole root with one mark (Linux 4.20)")
	fact(layerFanotify, "ignore marks", f.Ignore, "opens of image files cost nothing (Linux 6.0)")
	fact(layerFanotify, "handles on processes", f.PIDFD, "no other process with the same number is meant (Linux 5.15)")
	fact(layerFanotify, "unlimited queue", f.Unlimited, "nothing is lost in a storm")
	fact(layerFanotify, "read leases", f.Leases, "nobody writes to what is being judged (CAP_LEASE)")
	fanotifyOK := f.Permission && f.Filesystem
	bpfOK := true
	for _, f := range bpf.Facts(bpf.Config{}) {
		problem, _, _ := strings.Cut(f.Problem, "\n")
		fact(layerBPF, f.Name, f.Problem == "", orElse(problem, f.Use))
		bpfOK = bpfOK && (f.Problem == "" || !f.Needed)
	}
	say := func(s string) { d.Summary = append(d.Summary, s) }
	switch {
	case fanotifyOK && bpfOK:
		say("Both layers are to be had: what is unknown is denied before it runs, and what no file system shows is killed before its first instruction.")
	case fanotifyOK:
		say("Only fanotify is to be had: programs, scripts and preloaded libraries are denied. What is executed from memory or mapped later (memfd, dlopen) is seen by the next sweep and not stopped in time, and nothing is enforced while the guard is down.")
	case bpfOK:
		say("Only BPF is to be had: programs and libraries are held and killed before their first instruction. Scripts that are given to an interpreter run, and are told as changed files.")
	default:
		say("Neither layer is to be had: changes and logins are seen, and nothing is stopped.")
	}
	return d
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

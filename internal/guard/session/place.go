package session

// nowhere is where a process is of which nothing is known.
const nowhere = ^uint64(0) - 1

// where returns the subject that a process is in, as far as subjects are known. A
// mount namespace is a container's own nearly always; a PID namespace may be a
// pod's, or lent to a debug container; a control group is not entered by nsenter.
func (t *Tracker) where(p *Process) uint64 {
	inMount, mount := t.mount[p.MountNamespace]
	if mount && inMount != t.c.Host {
		return inMount
	}
	if id, ok := t.pid[p.PIDNamespace]; ok {
		return id
	}
	if mount {
		return t.c.Host
	}
	if _, ok := t.subjects[p.Subject]; ok && p.Subject != t.c.Host && p.Subject != 0 {
		return p.Subject
	}
	if p.PIDNamespace != 0 && p.PIDNamespace == t.c.HostPIDNamespace {
		return t.c.Host // in a mount namespace of its own, as services have
	}
	return nowhere
}

// at returns where a process is that is remembered.
func (t *Tracker) at(p *process) uint64 {
	if p == nil {
		return nowhere
	}
	if p.subject == nowhere {
		p.subject = t.where(&p.Process)
	}
	return p.subject
}

// first reports whether a process is the first one of a container, or of a PID
// namespace that is its own.
func (s *subject) first(p *Process) bool {
	if s.Init.PID == p.PID && s.Init.PID != 0 {
		return s.Init.Start == 0 || p.Start == 0 || s.Init.Start == p.Start
	}
	return p.InnerPID == 1 && s.PIDNamespace != 0 && s.PIDNamespace == p.PIDNamespace
}

// arrival is how a process came to be where it is.
type arrival struct {
	from    uint64 // subject that it, or its parent, was in
	parent  *process
	known   bool // the process itself was known before
	through bool // by way of the runtime
	found   bool // by looking, not by an event
}

// passing reports whether a process that was found in a container is the runtime
// on its way to what it was told to start. Of an exec in a container nobody has to
// ask: when the runtime executes itself it is not there yet, and a program that
// only has its name is one like any other.
func (a arrival) passing(p *Process) bool { return a.found && a.through && p.runtime() }

// entered reports whether a process has come into a subject from outside.
func (t *Tracker) entered(in *subject, p *Process, a arrival) bool {
	if in == nil || a.from == in.ID || a.from == nowhere || in.first(p) {
		return false
	}
	if a.passing(p) {
		return false
	}
	if a.known || a.parent == nil {
		return true
	}
	// It was not seen being made, and its parent may not be who made it: what loses
	// its parent is given to the first of its PID namespace, or to the shim.
	if a.parent.InnerPID == 1 && a.parent.PIDNamespace == p.PIDNamespace && p.PIDNamespace != t.c.HostPIDNamespace {
		return false
	}
	lone := in.PIDNamespace != 0 && in.PIDNamespace == p.PIDNamespace
	return lone || !a.parent.shim()
}

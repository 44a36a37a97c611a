package session

import (
	"path"
	"strings"

	"touchstone.dev/touchstone"
)

// doorOf returns the way in that a program is the door of; "" for any other.
func doorOf(program string) touchstone.LoginKind {
	switch program {
	case "sshd", "sshd-session", "sshd-auth", "dropbear", "tinysshd", "tailscaled":
		return touchstone.LoginSSH
	case "telnetd", "in.telnetd", "utelnetd":
		return touchstone.LoginTelnet
	case "agetty", "getty", "mingetty", "fgetty", "login":
		return touchstone.LoginConsole
	case "su", "sudo", "sudo-rs", "doas", "runuser", "pkexec":
		return touchstone.LoginSwitch
	}
	return ""
}

// doorBehind returns the door that a program is when it was executed behind
// another one: login lets in whom telnetd has brought.
func doorBehind(program string, before touchstone.LoginKind) touchstone.LoginKind {
	door := doorOf(program)
	if program == "login" && (before == touchstone.LoginTelnet || before == touchstone.LoginSSH) {
		return before
	}
	return door
}

// title is what a process of sshd says that it is doing: "sshd: alice@pts/0".
type title struct {
	user, where string
	// between is true for those that are not the person's own: "sshd: alice [priv]",
	// "sshd: [accepted]".
	between bool
}

// titleOf reads the command line of a process of sshd; false where it is no title.
func titleOf(command []string) (title, bool) {
	if len(command) == 0 {
		return title{}, false
	}
	name, text, ok := strings.Cut(strings.Join(command, " "), ": ")
	if !ok || doorOf(path.Base(name)) != touchstone.LoginSSH {
		return title{}, false
	}
	text = strings.TrimSpace(text)
	if strings.Contains(text, "[") {
		user, _, _ := strings.Cut(text, " [")
		return title{user: strings.TrimPrefix(user, "["), between: true}, true
	}
	user, where, _ := strings.Cut(text, "@")
	return title{user: user, where: where}, true
}

// lets reports whether what a door has executed is a person's, and not a helper
// of the door.
func lets(door touchstone.LoginKind, p, parent *Process) bool {
	switch door {
	case touchstone.LoginSSH:
		t, ok := titleOf(parent.Command)
		return !ok || !t.between
	case touchstone.LoginConsole, touchstone.LoginTelnet:
		// login gives the shell a name with "-" before it, and nothing else
		// (login(1)); telnetd may execute a shell itself.
		return parent.program() != "login" || len(p.Command) == 0 || strings.HasPrefix(p.Command[0], "-")
	}
	return true
}

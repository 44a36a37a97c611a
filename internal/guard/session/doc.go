// Package session finds logins in what processes do: who came into a container or
// onto the host, by which way, from where, and which processes that made.
//
// It is for the guard. It decides nothing and stops nothing; it asks the kernel
// nothing but through a Looker, of which Proc is the real one. Its input is what
// other rooms see, its output what is told of sessions:
//
//	exec, fork, exit (eBPF) ──────┐
//	exec by the runtime ──────────┼─► Tracker ─► Event: started, grew, known, left, ended
//	a snapshot of /proc (Resync) ─┘      │
//	                                     └─ Looker: what a process is that no event told of
//
// # What a session is
//
// In a container: the first process in it that came from outside, and is neither
// its first process nor the runtime on its way there. In is what is in the
// container's mount namespace, or its PID namespace, or its control group, in this
// order; so nsenter is seen whichever of them it enters. What came through the
// runtime is LoginExec, all else LoginNsenter. What comes out of a container onto
// the host is LoginNsenter of the host.
//
// Anywhere: the first process behind a door, which is a program that lets people
// in: sshd and dropbear (LoginSSH), telnetd (LoginTelnet), getty and login
// (LoginConsole), su and sudo (LoginSwitch). A switch within a session is a session
// of its own that names the one around it; outside of one it counts with a terminal
// only, since services use su to become another user. What a door executes before
// somebody is in (helpers for keys, the message of the day) does not count.
//
// A debug container (Subject.Debug) is a session as a whole.
//
// A session is its first process and all its descendants, by ancestry at birth: a
// daemon that is left behind belongs to it still. Each process belongs to one
// session, the innermost. It ends with its last process.
//
// # What is none
//
// A command that the subject declares (probes, hooks), word for word, through the
// runtime and without a terminal. While it cannot be told whether that is so, because
// the command is not known yet or the runtime has not said that it was it, nothing is
// told; for five seconds at most, see Settle. cron, at, systemd's services and user managers: no
// door is involved.
//
// # What is not seen
//
// Attaching to a container, and forwarding a port, make no process: only the API
// server's admission and the kubelet know of them. A process that enters a
// container and executes nothing is seen by the next Resync, as is an SSH
// connection that runs no command ("ssh -N"); sshd's own sftp server likewise.
// Graphical logins, web terminals, and what systemd starts on a terminal for
// somebody (systemd-run, machinectl, run0) pass no door that is known; nor does a
// door by another name. Who changes the root folder to a container's, without
// entering a namespace, is not in it. Who came through the API server is not to be
// seen on the node: the agent joins that.
//
// Names, commands and titles are what processes say of themselves: escape them
// where they are shown.
package session

package session

import "testing"

// Each story is told to a Tracker, and what it says of it compared.
func TestStories(t *testing.T) {
	for _, story := range []struct {
		name string
		tell func(*world)
		want []string
	}{
		{"kubectl exec", func(w *world) {
			w.enter(500, web, "/bin/bash", "pts/0")
			w.runtime(web, 501, "e1", true)
			w.fork(501, 502, nil)
			w.exec(502, "ls -l", nil)
			w.exit(502)
			w.exit(501)
		}, []string{"started 1 exec in 2: /bin/bash, on pts/0", "known 1 exec e1", "grew 1 exec ls -l", "ended 1 exec after 2"}},

		{"the runtime tells first", func(w *world) {
			w.fork(100, 500, nil)
			w.exec(500, "/usr/bin/runc exec", nil)
			w.fork(500, 501, into)
			w.runtime(web, 501, "e1", false)
			w.exec(501, "/bin/id", nil)
			w.exit(501)
			w.runtime(web, 501, "e1", false)
		}, []string{"started 1 exec in 2: /bin/id", "ended 1 exec after 1"}},

		{"a probe", func(w *world) {
			w.enter(500, web, "/bin/check -q", "")
			w.runtime(web, 501, "p1", false)
			w.fork(501, 502, nil)
			w.exec(502, "cat /status", nil)
			w.exit(502)
			w.exit(501)
		}, nil},

		{"the command of a probe with a terminal", func(w *world) {
			w.enter(500, web, "/bin/check -q", "pts/0")
			w.exit(501)
		}, []string{"started 1 exec in 2: /bin/check -q, on pts/0", "ended 1 exec after 1"}},

		{"a terminal that only the runtime knows of", func(w *world) {
			w.enter(500, web, "/bin/check -q", "")
			w.runtime(web, 501, "e1", true)
			w.exit(501)
		}, []string{"started 1 exec in 2: /bin/check -q, on tty", "ended 1 exec after 1"}},

		{"the command of a probe past the runtime", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "/bin/bash", nil)
			w.fork(400, 401, nil)
			w.exec(401, "/usr/bin/nsenter -t 200 -a", nil)
			w.fork(401, 402, func(p *Process) { p.PIDNamespace, p.MountNamespace = 2000, 2001 })
			w.exec(402, "/bin/check -q", nil)
			w.exit(402)
			w.want() // the runtime may yet say that it was it
			w.wait()
		}, []string{"started 1 nsenter in 2: /bin/check -q", "ended 1 nsenter after 1"}},

		{"nsenter of the mount namespace alone, in its own process", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "/usr/bin/nsenter -t 200 -m sh", nil)
			w.exec(400, "sh", func(p *Process) { p.MountNamespace = 2001 })
			w.exit(400)
		}, []string{"started 1 nsenter in 2: sh", "ended 1 nsenter after 1"}},

		{"nsenter of the PID namespace alone", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "/usr/bin/nsenter -t 200 -p sh", nil)
			w.fork(400, 401, func(p *Process) { p.PIDNamespace = 2000 })
			w.exec(401, "sh", nil)
			w.exit(401)
		}, []string{"started 1 nsenter in 2: sh", "ended 1 nsenter after 1"}},

		{"out of a container onto the host", func(w *world) {
			w.fork(300, 301, nil)
			w.exec(301, "nsenter -t 1 -m sh", nil)
			w.exec(301, "sh", func(p *Process) { p.MountNamespace = hostMount })
			w.exit(301)
		}, []string{"started 1 nsenter in 1: sh, out of 3", "ended 1 nsenter after 1"}},

		{"what a container does by itself", func(w *world) {
			w.fork(200, 201, nil)
			w.exec(201, "/bin/sh -c work", nil)
			w.fork(201, 202, nil)
			w.exit(201)
			w.exec(202, "work", nil)
			w.exec(200, "/app --again", nil)
			w.exit(202)
		}, nil},

		{"a container in the node's PID namespace by itself", func(w *world) {
			w.fork(300, 301, nil)
			w.exec(301, "sh", nil)
			w.fork(301, 302, nil)
			w.exit(301) // 302 is the shim's now
			w.exec(302, "work", nil)
			w.exit(302)
		}, nil},

		{"the same without a word of forks", func(w *world) {
			w.unborn = true
			w.fork(300, 301, nil)
			w.exec(301, "sh", nil)
			w.fork(301, 302, nil)
			w.exit(301)
			w.exec(302, "work", nil)
			w.exit(302)
		}, nil},

		{"exec into it", func(w *world) {
			w.enter(500, agent, "/bin/sh", "")
			w.runtime(agent, 501, "e1", false)
			w.exit(501)
		}, []string{"started 1 exec in 3: /bin/sh", "known 1 exec e1", "ended 1 exec after 1"}},

		{"exec into it, of which only the runtime tells who that is", func(w *world) {
			w.unborn = true
			w.put(Process{PID: 501, Parent: 100, MountNamespace: 3001, Subject: agent, Path: "/bin/sh", Command: []string{"/bin/sh"}})
			w.exec(501, "/bin/sh", nil)
			w.want()
			w.runtime(agent, 501, "e1", false)
			w.exit(501)
		}, []string{"started 1 exec in 3: /bin/sh", "ended 1 exec after 1"}},

		{"a debug container", func(w *world) {
			w.put(Process{PID: 600, Parent: 100, PIDNamespace: 2000, MountNamespace: 4001, Subject: debug, Path: "/bin/sh", Command: []string{"sh"}, TTY: "pts/1"})
			w.hear(w.tracker.Add(Subject{ID: debug, Init: w.alive[600], MountNamespace: 4001, Debug: true}, w.now()))
			w.fork(600, 601, nil)
			w.exec(601, "ps", nil)
			w.exit(601)
			w.hear(w.tracker.Remove(debug, w.now()))
		}, []string{"started 1 debug in 4: sh, on pts/1", "grew 1 debug ps", "ended 1 debug after 2"}},

		{"a daemon that is left behind", func(w *world) {
			w.enter(500, web, "/bin/sh", "")
			w.fork(501, 502, nil)
			w.fork(502, 503, nil)
			w.exit(502)
			w.exit(501)
			w.exec(503, "/tmp/miner", nil)
			w.exit(503)
		}, []string{"started 1 exec in 2: /bin/sh", "left 1 exec 1", "grew 1 exec /tmp/miner", "ended 1 exec after 2"}},

		{"ssh", func(w *world) {
			w.sshd()
			w.connect(410, "alice", "pts/3")
			w.fork(412, 413, func(p *Process) { p.TTY, p.UID = "pts/3", 1000 })
			w.exec(413, "-/bin/bash", nil)
			w.fork(413, 414, nil)
			w.exec(414, "vi notes", nil)
			w.exit(414)
			w.exit(413)
		}, []string{"started 1 ssh in 1: -/bin/bash, by alice, from 192.0.2.7:51000, on pts/3", "grew 1 ssh vi notes", "ended 1 ssh after 2"}},

		{"ssh with a command, and without a word of forks", func(w *world) {
			w.unborn = true
			w.sshd()
			w.connect(410, "alice", "notty")
			w.fork(412, 413, nil)
			w.exec(413, "bash -c uptime", nil)
			w.fork(413, 414, nil)
			w.exec(414, "uptime", nil)
			w.exit(414)
			w.exit(413)
		}, []string{"started 1 ssh in 1: bash -c uptime, by alice, from 192.0.2.7:51000", "grew 1 ssh uptime", "ended 1 ssh after 2"}},

		{"sftp, and sshd's own helpers", func(w *world) {
			w.sshd()
			w.fork(400, 410, nil)
			w.exec(410, "/usr/sbin/sshd -R", nil)
			w.entitle(410, "sshd: [accepted]")
			w.fork(410, 411, nil)
			w.exec(411, "/usr/bin/keys alice", nil)
			w.exit(411)
			w.exit(410)
			w.connect(420, "bob", "notty")
			w.fork(422, 423, nil)
			w.exec(423, "/usr/lib/openssh/sftp-server", nil)
			w.exit(423)
		}, []string{"started 1 ssh in 1: /usr/lib/openssh/sftp-server, by bob, from 192.0.2.7:51000", "ended 1 ssh after 1"}},

		{"ssh without a command", func(w *world) {
			w.sshd()
			w.connect(410, "alice", "")
			w.resync()
			w.want()
			w.resync()
			w.resync()
			w.fork(412, 413, func(p *Process) { p.TTY = "pts/3" })
			w.exec(413, "-bash", nil)
			w.exit(413)
			w.exit(412)
		}, []string{"started 1 ssh in 1: , by alice, from 192.0.2.7:51000, found", "known 1 ssh ", "grew 1 ssh -bash", "ended 1 ssh after 2"}},

		{"sshd in a container", func(w *world) {
			w.fork(200, 210, nil)
			w.exec(210, "/usr/sbin/dropbear -F", nil)
			w.fork(210, 211, nil)
			w.fork(211, 212, func(p *Process) { p.TTY = "pts/0" })
			w.exec(212, "-sh", nil)
			w.exit(212)
		}, []string{"started 1 ssh in 2: -sh, on pts/0", "ended 1 ssh after 1"}},

		{"telnet", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "/usr/sbin/in.telnetd", nil)
			p := w.alive[400]
			p.Peer = "192.0.2.9:40000"
			w.alive[400] = p
			w.fork(400, 401, func(p *Process) { p.TTY = "pts/4" })
			w.exec(401, "/bin/login -h", nil)
			w.fork(401, 402, nil)
			w.exec(402, "/usr/bin/run-parts /etc/update-motd.d", nil)
			w.exit(402)
			w.fork(401, 403, nil)
			w.exec(403, "-bash", nil)
			w.exit(403)
		}, []string{"started 1 telnet in 1: -bash, from 192.0.2.9:40000, on pts/4", "ended 1 telnet after 1"}},

		{"busybox's telnetd", func(w *world) {
			w.fork(200, 210, nil)
			w.exec(210, "telnetd -l /bin/sh", func(p *Process) { p.Path = "/bin/busybox" })
			w.fork(210, 211, func(p *Process) { p.TTY = "pts/0" })
			w.exec(211, "/bin/sh", func(p *Process) { p.Path = "/bin/busybox" })
			w.exit(211)
		}, []string{"started 1 telnet in 2: /bin/sh, on pts/0", "ended 1 telnet after 1"}},

		{"a console", func(w *world) {
			w.fork(1, 400, func(p *Process) { p.TTY = "tty1" })
			w.exec(400, "/sbin/agetty tty1", nil)
			w.exec(400, "/bin/login --", nil)
			w.fork(400, 401, nil)
			w.exec(401, "-bash", nil)
			w.exit(401)
		}, []string{"started 1 console in 1: -bash, on tty1", "ended 1 console after 1"}},

		{"su within an exec", func(w *world) {
			w.enter(500, web, "/bin/sh", "pts/0")
			w.fork(501, 502, nil)
			w.exec(502, "su postgres", nil)
			w.fork(502, 503, func(p *Process) { p.UID = 70 })
			w.exec(503, "sh", nil)
			w.exit(503)
			w.exit(502)
			w.exit(501)
		}, []string{"started 1 exec in 2: /bin/sh, on pts/0", "grew 1 exec su postgres", "started 2 su in 2: sh, on pts/0, within 1", "ended 2 su after 1", "ended 1 exec after 2"}},

		{"sudo in its own process, after ssh", func(w *world) {
			w.sshd()
			w.connect(410, "alice", "pts/3")
			w.fork(412, 413, func(p *Process) { p.TTY, p.UID = "pts/3", 1000 })
			w.exec(413, "-bash", nil)
			w.fork(413, 414, nil)
			w.exec(414, "sudo id", func(p *Process) { p.UID = 0 })
			w.exec(414, "id", nil)
			w.exit(414)
			w.exit(413)
		}, []string{"started 1 ssh in 1: -bash, by alice, from 192.0.2.7:51000, on pts/3", "grew 1 ssh sudo id",
			"started 2 su in 1: id, by alice, from 192.0.2.7:51000, on pts/3, within 1", "ended 2 su after 1", "ended 1 ssh after 2"}},

		{"su by a service, and by a start-up script", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "/bin/su -c work", nil)
			w.fork(400, 401, nil)
			w.exec(401, "work", nil)
			w.fork(200, 210, nil)
			w.exec(210, "runuser -u app server", nil)
			w.exec(210, "server", nil)
		}, nil},

		{"su at the container's own terminal", func(w *world) {
			w.put(Process{PID: 700, Parent: 100, InnerPID: 1, PIDNamespace: 5000, MountNamespace: 5001, Subject: 5, Path: "/bin/sh", TTY: "pts/0"})
			w.hear(w.tracker.Add(Subject{ID: 5, Init: w.alive[700], PIDNamespace: 5000, MountNamespace: 5001}, w.now()))
			w.fork(700, 701, nil)
			w.exec(701, "su app", nil)
			w.fork(701, 702, func(p *Process) { p.TTY = "pts0" })
			w.exec(702, "sh", nil)
		}, nil},

		{"from a login on the host into a container", func(w *world) {
			w.sshd()
			w.connect(410, "alice", "pts/3")
			w.fork(412, 413, func(p *Process) { p.TTY = "pts/3" })
			w.exec(413, "-bash", nil)
			w.fork(413, 414, nil)
			w.exec(414, "nsenter -t 200 -a", nil)
			w.fork(414, 415, into)
			w.exec(415, "sh", nil)
			w.exit(415)
		}, []string{"started 1 ssh in 1: -bash, by alice, from 192.0.2.7:51000, on pts/3", "grew 1 ssh nsenter -t 200 -a",
			"started 2 nsenter in 2: sh, by alice, from 192.0.2.7:51000, on pts/3, within 1", "ended 2 nsenter after 1"}},

		{"cron and a user manager", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "/usr/sbin/cron", nil)
			w.fork(400, 401, nil)
			w.exec(401, "/bin/sh -c backup", nil)
			w.fork(1, 402, nil)
			w.exec(402, "/usr/lib/systemd/systemd --user", nil)
		}, nil},

		{"a PID that is given out again", func(w *world) {
			w.enter(500, web, "/bin/sh", "")
			w.deaf = true // the end is not heard of
			w.exit(501)
			w.deaf = false
			w.fork(200, 501, nil)
			w.exec(501, "work", nil)
		}, []string{"started 1 exec in 2: /bin/sh", "ended 1 exec after 1"}},

		{"an end that is not heard of", func(w *world) {
			w.enter(500, web, "/bin/sh", "")
			w.deaf = true
			w.exit(501)
			w.deaf = false
			w.resync()
		}, []string{"started 1 exec in 2: /bin/sh", "ended 1 exec after 1"}},

		{"a beginning that is not heard of", func(w *world) {
			w.deaf = true
			w.enter(500, web, "/bin/sh", "")
			w.fork(501, 502, nil)
			w.exec(502, "top", nil)
			w.deaf = false
			w.resync()
			w.resync()
			w.exit(502)
			w.exit(501)
		}, []string{"started 1 exec in 2: /bin/sh, found", "grew 1 exec top", "ended 1 exec after 2"}},

		{"a beginning that its child brings to light", func(w *world) {
			w.deaf = true
			w.enter(500, web, "/bin/sh", "")
			w.deaf, w.unborn = false, true
			w.fork(501, 502, nil)
			w.exec(502, "top", nil)
		}, []string{"started 1 exec in 2: /bin/sh, found", "grew 1 exec top"}},

		{"an exec that is not heard of", func(w *world) {
			w.sshd()
			w.connect(410, "alice", "pts/3")
			w.fork(412, 413, func(p *Process) { p.TTY = "pts/3" })
			w.deaf = true
			w.exec(413, "-bash", nil)
			w.deaf = false
			w.resync()
			w.resync()
			w.exit(413)
		}, []string{"started 1 ssh in 1: -bash, by alice, from 192.0.2.7:51000, on pts/3, found", "ended 1 ssh after 1"}},

		{"a process that enters and executes nothing", func(w *world) {
			w.fork(1, 400, nil)
			w.exec(400, "python3", nil)
			p := w.alive[400]
			p.MountNamespace = 2001
			w.alive[400] = p
			w.resync()
			w.exit(400)
		}, []string{"started 1 nsenter in 2: python3, found", "ended 1 nsenter after 1"}},

		{"an exec that was over before anybody looked", func(w *world) {
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: agent, PID: 900, ExecID: "e1", Command: []string{"id"}}))
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, PID: 901, ExecID: "e2"})) // a probe, for all that is known
			w.tick += 1000
			w.resync()
		}, []string{"started 1 exec in 3: id", "ended 1 exec after 1"}},

		{"a parent that no event tells of, and whose PID is given out again", func(w *world) {
			host := func(tell func()) { w.deaf = true; tell(); w.deaf = false }
			host(func() {
				w.fork(100, 500, nil)
				w.exec(500, "/usr/bin/runc exec", nil)
				w.fork(500, 501, into)
			})
			w.exec(501, "/bin/check -q", nil)
			host(func() { w.exit(500) })
			w.exit(501)
			w.tick += 1000
			host(func() {
				w.fork(1, 500, nil)
				w.exec(500, "/bin/bash", nil)
				w.fork(500, 502, into)
			})
			w.exec(502, "/bin/check -q", nil)
			w.wait()
		}, []string{"started 2 nsenter in 2: /bin/check -q"}},

		{"a program that is only called like the runtime", func(w *world) {
			w.enter(500, web, "/tmp/runc shell", "")
			w.fork(501, 502, nil)
			w.exec(502, "sh", nil)
			w.exit(502)
			w.runtime(web, 501, "e1", false)
			w.exit(501)
		}, []string{"started 1 exec in 2: /tmp/runc shell", "grew 1 exec sh", "known 1 exec e1", "ended 1 exec after 2"}},

		{"the runtime on its way, found by looking", func(w *world) {
			w.deaf = true
			w.fork(100, 500, nil)
			w.exec(500, "/usr/bin/runc exec", nil)
			w.fork(500, 501, into)
			w.deaf = false
			w.resync()
			w.exec(501, "/bin/check -q", nil)
			w.exit(501)
		}, nil},

		{"a container that was not known when it began", func(w *world) {
			w.put(Process{PID: 700, Parent: 100, InnerPID: 1, PIDNamespace: 5000, MountNamespace: 5001, Subject: 5, Path: "/app"})
			w.fork(700, 701, nil)
			w.exec(701, "worker", nil)
			w.fork(100, 710, nil)
			w.exec(710, "/usr/bin/runc exec", nil)
			w.fork(710, 711, func(p *Process) { p.PIDNamespace, p.MountNamespace, p.Subject = 5000, 5001, 5 })
			w.exec(711, "/bin/sh", nil)
			w.exit(710)
			w.hear(w.tracker.Add(Subject{ID: 5, Init: Process{PID: 700}, PIDNamespace: 5000, MountNamespace: 5001}, w.now()))
			w.fork(701, 702, nil)
			w.exec(702, "worker2", nil)
		}, []string{"started 1 exec in 5: /bin/sh, found"}},
	} {
		t.Run(story.name, func(t *testing.T) {
			w := newWorld(t)
			w.want()
			story.tell(w)
			w.want(story.want...)
		})
	}
}

func (w *world) sshd() {
	w.fork(1, 400, nil)
	w.exec(400, "/usr/sbin/sshd -D", nil)
	w.entitle(400, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups")
}

// connect is a connection to sshd with its separated privileges: the processes are
// pid (the monitor), pid+1 (before the login) and pid+2 (the user's).
func (w *world) connect(pid int, user, where string) {
	w.fork(400, pid, nil)
	w.exec(pid, "/usr/sbin/sshd -D -R", nil)
	p := w.alive[pid]
	p.Peer = "192.0.2.7:51000"
	w.alive[pid] = p
	w.entitle(pid, "sshd: [accepted]")
	w.fork(pid, pid+1, nil)
	w.entitle(pid+1, "sshd: [net]")
	w.exit(pid + 1)
	w.entitle(pid, "sshd: "+user+" [priv]")
	w.fork(pid, pid+2, func(p *Process) { p.UID = 1000 })
	if where != "" {
		user += "@" + where
	}
	w.entitle(pid+2, "sshd: "+user)
}

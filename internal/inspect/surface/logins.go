package surface

// loginTable lists programs that let people in over the network. Whoever gets
// in so is not seen by the cluster. Not listed: login and getty, which serve a
// terminal that is there already, and inetd, which serves anything.
func loginTable() []tool {
	const (
		ssh    = "SSH server"
		clear  = "lets people in over an unencrypted connection"
		screen = "serves a desktop over the network"
		web    = "serves a terminal to browsers"
	)
	return []tool{
		{name: "dropbear", why: ssh},
		{name: "dropbearmulti", why: ssh},
		{name: "sftpgo", why: ssh},
		{name: "sshd", why: ssh},
		{name: "sshd-session", why: ssh},
		{name: "tinysshd", why: ssh},
		{name: "mosh-server", why: "keeps an SSH login alive over UDP"},
		{name: "in.rexecd", why: clear},
		{name: "in.rlogind", why: clear},
		{name: "in.rshd", why: clear},
		{name: "in.telnetd", why: clear},
		{name: "inetutils-telnetd", why: clear},
		{name: "rexecd", why: clear},
		{name: "rlogind", why: clear},
		{name: "rshd", why: clear},
		{name: "telnetd", why: clear},
		{name: "utelnetd", why: clear},
		{name: "vncserver", why: screen},
		{name: "x11vnc", why: screen},
		{name: "Xtigervnc", why: screen},
		{name: "Xvnc", why: screen},
		{name: "xrdp", why: screen},
		{name: "cockpit-ws", why: web},
		{name: "gotty", why: web},
		{name: "shellinaboxd", why: web},
		{name: "ttyd", why: web},
	}
}

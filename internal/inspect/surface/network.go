package surface

// networkTable lists programs whose main purpose is to open connections, to
// move data across them or to look around in a network: they fetch the next
// stage, carry data out and find the next victim. Not listed: what shows or sets
// the machine's own network (ip, ss), and git, which is there to build.
func networkTable() []tool {
	const (
		fetch  = "fetches files and carries data out"
		pipe   = "connects anything with anything; a shell across the network"
		login  = "logs in to other machines, tunnels, copies"
		looker = "finds other machines and their services"
	)
	return []tool{
		{name: "aria2c", why: fetch},
		{name: "axel", why: fetch},
		{name: "curl", why: fetch},
		{name: "ftp", why: fetch},
		{name: "ftpget", why: fetch},
		{name: "ftpput", why: fetch},
		{name: "http", why: "HTTPie; " + fetch},
		{name: "lftp", why: fetch},
		{name: "lynx", why: fetch},
		{name: "rclone", why: fetch},
		{name: "rsync", why: fetch},
		{name: "smbclient", why: fetch},
		{name: "tftp", why: fetch},
		{name: "w3m", why: fetch},
		{name: "wget", why: fetch},
		{name: "wget2", why: fetch},
		{name: "xh", why: fetch},
		{name: "chisel", why: pipe},
		{name: "gs-netcat", why: pipe},
		{name: "nc", why: pipe},
		{name: "nc.openbsd", why: pipe},
		{name: "nc.traditional", why: pipe},
		{name: "ncat", why: pipe},
		{name: "netcat", why: pipe},
		{name: "proxychains", versions: true, why: pipe},
		{name: "socat", versions: true, why: pipe},
		{name: "telnet", why: pipe},
		{name: "telnet.netkit", why: pipe},
		{name: "inetutils-telnet", why: pipe},
		{name: "websocat", why: pipe},
		{name: "autossh", why: login},
		{name: "dbclient", why: login},
		{name: "mosh", why: login},
		{name: "mosh-client", why: login},
		{name: "rlogin", why: login},
		{name: "scp", why: login},
		{name: "sftp", why: login},
		{name: "ssh", why: login},
		{name: "sshpass", why: login},
		{name: "arp-scan", why: looker},
		{name: "arping", why: looker},
		{name: "delv", why: looker},
		{name: "dig", why: looker},
		{name: "drill", why: looker},
		{name: "fping", why: looker},
		{name: "hping3", why: looker},
		{name: "host", why: looker},
		{name: "ldapsearch", why: looker},
		{name: "masscan", why: looker},
		{name: "mtr", why: looker},
		{name: "mtr-packet", why: looker},
		{name: "nmap", why: looker},
		{name: "nping", why: looker},
		{name: "nslookup", why: looker},
		{name: "ping", why: looker},
		{name: "ping6", why: looker},
		{name: "rpcclient", why: looker},
		{name: "rpcinfo", why: looker},
		{name: "snmpwalk", why: looker},
		{name: "tcptraceroute", why: looker},
		{name: "traceroute", why: looker},
		{name: "traceroute6", why: looker},
		{name: "zmap", why: looker},
		{name: "kubectl", why: "speaks with the cluster under the pod's identity"},
		{name: "crictl", why: "speaks with the node's container runtime"},
		{name: "ctr", why: "speaks with the node's container runtime"},
		{name: "docker", why: "speaks with the node's container runtime"},
		{name: "podman", why: "starts containers"},
	}
}

package drift

import "touchstone.dev/touchstone"

// HostWritable lists the places of a machine in which files come and go: only
// what can be executed counts there. They are patterns as Patterns takes them.
func HostWritable() []string {
	return []string{
		"run", "tmp", "home", "root", "srv", "mnt", "media", "dev",
		"var/backups", "var/cache", "var/crash", "var/lib", "var/log", "var/mail", "var/opt", "var/spool", "var/tmp", "var/www",
		"etc/adjtime", "etc/hostname", "etc/hosts", "etc/machine-id", "etc/resolv.conf", "etc/mtab", "etc/ld.so.cache", "etc/ssh/ssh_host_*",
	}
}

// HostSkipped lists the places of a machine that hold other artifacts, which are
// compared with manifests of their own, and those that the kernel makes up. They
// are patterns as Patterns takes them.
func HostSkipped() []string {
	return []string{
		"proc", "sys", "dev/pts", "lost+found", "run/containerd", "run/containers", "run/docker", "run/crio",
		"var/lib/containerd", "var/lib/containers", "var/lib/crio", "var/lib/docker", "var/lib/kubelet/pods", "var/lib/kubelet/plugins", "var/lib/lxc", "var/lib/machines",
	}
}

// Patterns returns a function that reports whether one of the patterns covers a
// path, as touchstone.MatchPath has it.
func Patterns(patterns []string) func(path string) bool {
	return func(path string) bool {
		for _, p := range patterns {
			if touchstone.MatchPath(p, path) {
				return true
			}
		}
		return false
	}
}

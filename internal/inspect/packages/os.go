package packages

import (
	"strings"

	"touchstone.dev/touchstone"
)

// ReadOS returns what distribution a root file system is, from os-release(5):
// etc/os-release, else usr/lib/os-release, else etc/alpine-release,
// etc/debian_version, etc/redhat-release. open returns the bytes of a path without
// a leading slash and follows links; any error means that there is no such file.
// The result is empty where nothing tells.
func ReadOS(open func(path string) ([]byte, error)) touchstone.OS {
	for _, path := range [...]string{"etc/os-release", "usr/lib/os-release"} {
		if content, err := open(path); err == nil {
			if os := osRelease(content); os.ID != "" {
				os.Path = path
				return os
			}
		}
	}
	for _, old := range [...]struct {
		path string
		read func(text string) touchstone.OS
	}{
		{"etc/alpine-release", func(v string) touchstone.OS {
			return touchstone.OS{ID: "alpine", Version: v, Name: "Alpine Linux " + v}
		}},
		{"etc/debian_version", debianVersion},
		{"etc/redhat-release", redhatRelease},
	} {
		content, err := open(old.path)
		if err != nil {
			continue
		}
		text, _, _ := strings.Cut(string(content[:min(len(content), 256)]), "\n")
		if text = strings.TrimSpace(text); text != "" {
			os := old.read(text)
			os.Path = old.path
			return os
		}
	}
	return touchstone.OS{}
}

// osRelease reads assignments as a shell would: NAME=value, quoted or not.
func osRelease(content []byte) touchstone.OS {
	const enough = 64 << 10
	fields := map[string]string{}
	for line := range strings.Lines(string(content[:min(len(content), enough)])) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			fields[name] = unquote(value)
		}
	}
	return touchstone.OS{
		ID: strings.ToLower(fields["ID"]), Version: fields["VERSION_ID"], Name: fields["PRETTY_NAME"], Codename: fields["VERSION_CODENAME"],
	}
}

// unquote takes off quotes and backslashes (os-release(5): those of a shell).
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		quote := s[0]
		s = s[1 : len(s)-1]
		if quote == '\'' {
			return s
		}
	}
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// debianVersion reads "12.5" or, before a release, "trixie/sid".
func debianVersion(text string) touchstone.OS {
	os := touchstone.OS{ID: "debian", Name: "Debian GNU/Linux " + text}
	if codename, _, ok := strings.Cut(text, "/"); ok {
		os.Codename = codename
	} else {
		os.Version, _, _ = strings.Cut(text, ".")
	}
	return os
}

// redhatRelease reads "CentOS release 6.10 (Final)" and its like.
func redhatRelease(text string) touchstone.OS {
	os := touchstone.OS{Name: text}
	for _, family := range [...]struct{ begins, id string }{
		{"Red Hat Enterprise Linux", "rhel"}, {"CentOS", "centos"}, {"Fedora", "fedora"},
		{"AlmaLinux", "almalinux"}, {"Rocky Linux", "rocky"}, {"Oracle Linux", "ol"},
	} {
		if strings.HasPrefix(text, family.begins) {
			os.ID = family.id
		}
	}
	if _, after, ok := strings.Cut(text, "release "); ok {
		os.Version, _, _ = strings.Cut(after, " ")
	}
	return os
}

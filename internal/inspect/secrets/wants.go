package secrets

import (
	"bytes"
	"path"
	"strings"
)

// shortest is the size below which a file that is no place of credentials holds
// no secret: the shortest form has 24 bytes.
const shortest = 24

// Wants reports whether Scan should be given the file. name is the path without
// a leading slash, head the first bytes of the content, at best 512.
//
// Text is wanted; programs and other binary files are not: the forms are in many
// of them as the strings of those who look for them, and what is in a picture or
// archive is not text. Documentation, translations and headers that packages of
// the operating system bring are not wanted either, nor their databases, nor the
// Go distribution, which has keys for its own tests.
func Wants(name string, size int64, head []byte) bool {
	if size <= 0 || len(head) == 0 || isBinary(head) || isPackaged(name) {
		return false
	}
	return size >= shortest || len(placesFor(name)) > 0
}

// isBinary reports whether the bytes are not text: a control character that
// text does not have, or the first bytes of a compressed file without any.
func isBinary(head []byte) bool {
	for _, c := range head {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' && c != '\f' && c != 0x1b {
			return true
		}
	}
	return bytes.HasPrefix(head, []byte("%PDF-"))
}

// isPackaged reports whether the file is documentation or the like of the
// operating system.
func isPackaged(name string) bool {
	var rest string
	switch {
	case strings.HasPrefix(name, "usr/share/"):
		rest = name[len("usr/share/"):]
	case strings.HasPrefix(name, "usr/local/go/"), strings.HasPrefix(name, "usr/include/"), strings.HasPrefix(name, "var/lib/dpkg/"), strings.HasPrefix(name, "lib/apk/db/"),
		strings.HasPrefix(name, "var/lib/apt/lists/"), strings.HasPrefix(name, "usr/lib/sysimage/"):
		return true
	default:
		return false
	}
	folder, _, _ := strings.Cut(rest, "/")
	switch folder {
	case "doc", "man", "info", "locale", "i18n", "zoneinfo", "icons", "fonts", "mime", "terminfo", "perl", "licenses", "common-licenses",
		"bash-completion", "zsh", "fish", "vim", "help", "gtk-doc", "lintian", "hwdata", "unicode", "X11", "pixmaps":
		return true
	}
	return false
}

// origin says of a file whether it is of a published library and, of those,
// whether it is a sample, a test or a description: there, keys and passwords are
// there to be read. Samples and tests of the application itself are looked at; a
// key in them opens something all too often.
func origin(name string) (published, sample bool) {
	published = strings.HasPrefix(name, "usr/lib") || strings.HasPrefix(name, "usr/share/")
	before := ""
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if published && saysSample(part) {
			return true, true
		}
		switch part {
		case "node_modules", "site-packages", "dist-packages", "gems", "vendor":
			published = true
		case "mod":
			published = published || before == "pkg" // Go's module cache
		default:
			published = published || before == "lib" && strings.HasPrefix(part, "python")
		}
		before = part
	}
	return published, published && isProse(path.Base(name))
}

// saysSample reports whether one of the words in a part of a path says that it
// holds tests, samples or documentation.
func saysSample(part string) bool {
	for len(part) > 0 {
		n := 0
		for n < len(part) && (part[n]|0x20 >= 'a' && part[n]|0x20 <= 'z') {
			n++
		}
		switch strings.ToLower(part[:n]) {
		case "test", "tests", "testing", "testdata", "testutil", "testutils", "testonly", "spec", "specs", "mock", "mocks", "fixture", "fixtures",
			"example", "examples", "sample", "samples", "demo", "demos", "doc", "docs", "cookbook", "benchmark", "benchmarks":
			return true
		}
		part = part[min(n+1, len(part)):]
	}
	return false
}

// isProse reports whether the file is written for people: a README and the like.
func isProse(base string) bool {
	switch strings.ToLower(path.Ext(base)) {
	case ".md", ".mdx", ".markdown", ".rst", ".adoc":
		return true
	}
	return false
}

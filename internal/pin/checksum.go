package pin

import (
	"path"
	"slices"
	"strings"
)

// check is a command that holds downloads to a checksum or a signature.
type check struct {
	at    int
	files []string // base names of the downloads that it names; empty means any
}

// checks are those of a stage.
type checks struct {
	good []check
	// inputs are downloads that serve a check themselves: signatures, keys,
	// lists of checksums.
	inputs map[string]bool
	weak   bool // there is a check against checksums that were fetched alike
}

// cover reports whether something that comes after the download checks it.
func (c *checks) cover(d download) bool {
	if d.file != "" && c.inputs[d.file] {
		return true
	}
	for _, k := range c.good {
		if k.at < d.at {
			continue
		}
		if len(k.files) == 0 || d.file == "" {
			return true
		}
		for _, f := range k.files {
			if f == d.file {
				return true
			}
		}
	}
	return false
}

// isSum reports whether the command computes checksums. MD5 is left out: who
// makes a file can make two with the same sum.
func isSum(name string) bool {
	switch name {
	case "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "shasum", "b2sum", "b3sum", "gsha256sum", "gsha512sum", "sha256", "sha512":
		return true
	}
	return false
}

// isSignature reports whether the command checks a signature.
func isSignature(c *call) bool {
	sub := func(names string) bool {
		for _, a := range c.args[1:] {
			if strings.Contains(names, " "+a.s+" ") {
				return true
			}
		}
		return false
	}
	switch c.name() {
	case "gpg", "gpg2":
		return sub(" --verify --decrypt -d --verify-files ")
	case "gpgv", "gpgv2":
		return true
	case "cosign":
		return sub(" verify-blob verify-blob-attestation ")
	case "minisign", "signify", "signify-openbsd":
		return sub(" -V -Vm ")
	case "gh":
		return sub(" attestation ")
	case "slsa-verifier":
		return true
	}
	return false
}

// checksOf finds the checks among the calls of a stage. A checksum counts when
// it is written in the file or comes from the build context, or when a
// signature over it is checked; not when it was fetched beside what it is for.
func checksOf(calls []*call, all []download) checks {
	c := checks{inputs: map[string]bool{}}
	byFile := map[string]bool{}
	for _, d := range all {
		if d.file != "" {
			byFile[d.file] = true
		}
	}
	signed := false
	for i, k := range calls {
		if isSignature(k) {
			signed = true
			files := mentioned(byFile, argText(k))
			c.good = append(c.good, check{at: i, files: files})
			for _, f := range files {
				if isProof(f) {
					c.inputs[f] = true
				}
			}
		}
	}
	written := writtenTo(calls)
	sums := 0
	for i, k := range calls {
		if !isSum(k.name()) || !k.verifies() {
			continue
		}
		if sums++; sums > mostChecks {
			break // the downloads that are left count as unchecked
		}
		said := k.input.s + " " + argText(k)
		for _, f := range strings.Fields(argText(k)) {
			said += " " + written[path.Base(f)]
		}
		for _, j := range calls[max(0, i-8):i] { // what is piped into it
			if slices.Contains(j.feeds, k) {
				said += " " + argText(j) + " " + j.input.s
			}
		}
		var payload []string
		fetchedSums := false
		for _, f := range mentioned(byFile, said) {
			if isProof(f) {
				fetchedSums = true
				c.inputs[f] = true
			} else {
				payload = append(payload, f)
			}
		}
		if fetchedSums && !signed {
			c.weak = true
			continue
		}
		c.good = append(c.good, check{at: i, files: payload})
	}
	return c
}

// mostChecks bounds how many checks of one stage are looked into.
const mostChecks = 200

// writtenTo returns what the commands wrote into each file, as far as their
// arguments and here-documents tell.
func writtenTo(calls []*call) map[string]string {
	out := map[string]string{}
	for _, c := range calls {
		if c.out == nil {
			continue
		}
		if name := base(c.out.s); len(out[name]) < longest/8 {
			out[name] += " " + argText(c) + " " + c.input.s
		}
	}
	return out
}

// verifies reports whether a checksum command compares: it has -c, or its
// output is put into a test.
func (c *call) verifies() bool {
	l := parse(c.args[1:], "-a --algorithm")
	if l.has("-c", "--check") {
		return true
	}
	if c.capture {
		return true
	}
	for _, f := range c.after() {
		if f.capture || f.name() == "grep" {
			return true
		}
	}
	return false
}

func argText(c *call) string {
	var b strings.Builder
	for _, a := range c.args {
		b.WriteString(a.s)
		b.WriteByte(' ')
	}
	return b.String()
}

// mentioned returns the files that a command line names.
func mentioned(files map[string]bool, said string) []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range strings.FieldsFunc(said, func(r rune) bool { return strings.ContainsRune(" \t\n\"'*=", r) }) {
		b := path.Base(f)
		if files[b] && !seen[b] {
			seen[b] = true
			out = append(out, b)
		}
	}
	return out
}

// isProof reports whether a file by its name holds checksums or a signature.
func isProof(file string) bool {
	l := strings.ToLower(file)
	for _, part := range []string{".asc", ".sig", ".sha1", ".sha256", ".sha512", "sha256sum", "sha512sum", "shasums", "checksum", ".minisig", ".pem", ".crt", ".digest"} {
		if strings.Contains(l, part) {
			return true
		}
	}
	return false
}

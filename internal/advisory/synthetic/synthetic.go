// Package synthetic makes OSV archives of any size that look like the published
// ones: the same mixture of databases, lengths of text, lists of versions,
// aliases and bulletins. Benchmarks and tests use them where the real archives
// are not to be had; nothing in them is true.
package synthetic

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// Archive is one archive that was written.
type Archive struct {
	Path    string
	Records int
	Bytes   int64 // of JSON
}

// share is how many of a thousand records a database has, about as in OSV
// without the records of malicious packages.
type share struct {
	ecosystem  string
	thousandth int
}

// Write makes archives of n records in all below dir, as
// "<ecosystem>/all.zip". The same seed gives the same archives.
func Write(dir string, n int, seed uint64) ([]Archive, error) {
	var list []Archive
	for _, s := range []share{{"Debian", 180}, {"Ubuntu", 200}, {"Alpine", 60}, {"Red Hat", 90}, {"Go", 40}, {"npm", 120}, {"PyPI", 110}, {"Maven", 90}, {"crates.io", 30}, {"RubyGems", 30}, {"Wolfi", 50}} {
		a, err := archive(dir, s.ecosystem, n*s.thousandth/1000, seed)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

func archive(dir, ecosystem string, n int, seed uint64) (a Archive, err error) {
	a = Archive{Path: filepath.Join(dir, ecosystem, "all.zip"), Records: n}
	if err := os.MkdirAll(filepath.Dir(a.Path), 0o755); err != nil {
		return a, err
	}
	f, err := os.Create(a.Path)
	if err != nil {
		return a, err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	z := zip.NewWriter(f)
	m := &maker{Rand: rand.New(rand.NewPCG(seed, uint64(len(ecosystem))<<8|uint64(ecosystem[0]))), ecosystem: ecosystem}
	for i := range n {
		r := m.record(i)
		b, err := json.Marshal(r)
		if err != nil {
			return a, err
		}
		w, err := z.Create(fmt.Sprint(r["id"], ".json"))
		if err != nil {
			return a, err
		}
		if _, err := w.Write(b); err != nil {
			return a, err
		}
		a.Bytes += int64(len(b))
	}
	return a, z.Close()
}

type object = map[string]any

type maker struct {
	*rand.Rand
	ecosystem string
}

// record makes the i-th record of the ecosystem.
func (m *maker) record(i int) object {
	cve := m.cve(i)
	r := object{
		"schema_version": "1.7.3", "published": m.time(i), "modified": m.time(i + 4000),
		"details":    m.text(60 + m.IntN(240)),
		"references": m.references(cve),
	}
	switch m.ecosystem {
	case "Debian":
		r["id"], r["upstream"] = "DEBIAN-"+cve, []string{cve}
		r["affected"] = m.releases("Debian:%d", 11, 14, m.deb)
	case "Ubuntu":
		if i%4 == 0 {
			r["id"], r["upstream"] = fmt.Sprintf("USN-%d-1", 2000+i), []string{m.cve(i + 1), m.cve(i + 2), m.cve(i + 3)}
		} else {
			r["id"], r["upstream"] = "UBUNTU-"+cve, []string{cve}
		}
		r["severity"] = []object{{"type": "Ubuntu", "score": "medium"}}
		r["affected"] = append(m.releases("Ubuntu:%d.04:LTS", 20, 25, m.deb), m.releases("Ubuntu:Pro:%d.04:LTS", 16, 19, m.deb)...)
	case "Alpine":
		r["id"], r["upstream"] = "ALPINE-"+cve, []string{cve}
		r["affected"] = m.releases("Alpine:v3.%d", 17, 23, m.apk)
		delete(r, "details")
	case "Red Hat":
		r["id"], r["upstream"] = fmt.Sprintf("RHSA-%d:%04d", 2015+i%11, i), []string{cve, m.cve(i + 1)}
		r["severity"] = []object{{"type": "CVSS_V3", "score": m.vector()}}
		r["affected"] = m.releases("Red Hat:enterprise_linux:%d::baseos", 8, 11, m.rpm)
	case "Wolfi":
		r["id"], r["upstream"] = fmt.Sprintf("CGA-%04x-%04x-%04x", m.IntN(1<<16), m.IntN(1<<16), i), []string{cve}
		r["affected"] = []object{m.affected("Wolfi", m.name(), m.apk(1), "")}
		delete(r, "details")
	case "Go":
		r["id"], r["aliases"], r["summary"] = fmt.Sprintf("GO-%d-%04d", 2020+i%7, i), []string{cve, m.ghsa()}, m.text(9)
		a := m.affected("Go", "example.com/"+m.name()+"/"+m.name(), m.semver(), "SEMVER")
		a["ecosystem_specific"] = object{"imports": []object{{"path": "example.com/" + m.name(), "symbols": []string{"Decode", "Decoder.Decode", m.word()}}}}
		r["affected"] = []object{a}
		r["database_specific"] = object{"url": "https://pkg.example/vuln/" + cve, "review_status": "REVIEWED"}
	default:
		r["id"], r["aliases"], r["summary"] = m.ghsa(), []string{cve}, m.text(9)
		r["severity"] = []object{{"type": "CVSS_V3", "score": m.vector()}}
		r["database_specific"] = object{"severity": "HIGH", "cwe_ids": []string{"CWE-79"}, "github_reviewed": true, "nvd_published_at": m.time(i)}
		name := m.name()
		if m.ecosystem == "Maven" {
			name = "org." + name + ":" + m.name()
		}
		a := m.affected(m.ecosystem, name, m.semver(), "ECOSYSTEM")
		if m.ecosystem == "PyPI" {
			a["versions"] = m.versions(80)
		}
		r["affected"] = []object{a}
	}
	return r
}

// releases says the same of one package in several releases of a distribution.
func (m *maker) releases(format string, from, to int, version func(int) string) []object {
	var list []object
	name := m.name()
	for n := from; n < to; n++ {
		a := m.affected(fmt.Sprintf(format, n), name, version(n), "ECOSYSTEM")
		if strings.HasPrefix(format, "Ubuntu") || strings.HasPrefix(format, "Debian") {
			a["ecosystem_specific"] = object{"urgency": "not yet assigned", "binaries": []object{{"binary_name": name + "-bin", "binary_version": version(n)}, {"binary_name": "lib" + name + "1", "binary_version": version(n)}}}
			var listed []string
			for range 12 {
				listed = append(listed, version(n))
			}
			a["versions"] = listed
		}
		list = append(list, a)
	}
	return list
}

func (m *maker) affected(ecosystem, name, fixed, kind string) object {
	events := []object{{"introduced": "0"}}
	if m.IntN(5) > 0 {
		events = append(events, object{"fixed": fixed})
	}
	if kind == "" {
		kind = "ECOSYSTEM"
	}
	return object{
		"package": object{"ecosystem": ecosystem, "name": name, "purl": "pkg:generic/" + name},
		"ranges":  []object{{"type": kind, "events": events}},
	}
}

func (m *maker) versions(n int) []string {
	list := make([]string, 0, n)
	for range n {
		list = append(list, m.semver())
	}
	return list
}

func (m *maker) cve(i int) string { return fmt.Sprintf("CVE-%d-%d", 2012+i%15, 1000+i) }
func (m *maker) semver() string   { return fmt.Sprintf("%d.%d.%d", m.IntN(9), m.IntN(30), m.IntN(20)) }
func (m *maker) apk(int) string   { return fmt.Sprintf("%s-r%d", m.semver(), m.IntN(6)) }
func (m *maker) deb(n int) string {
	return fmt.Sprintf("%s-%d+deb%du%d", m.semver(), m.IntN(4), n, m.IntN(5))
}
func (m *maker) rpm(n int) string {
	return fmt.Sprintf("%d:%s-%d.el%d", m.IntN(2), m.semver(), m.IntN(40), n)
}
func (m *maker) time(i int) string {
	return fmt.Sprintf("20%02d-%02d-%02dT10:00:00Z", 12+i%14, 1+i%12, 1+i%28)
}
func (m *maker) text(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = m.word()
	}
	return strings.Join(words, " ")
}

// name returns one of 20,000 names; some are in most advisories, as in life.
func (m *maker) name() string {
	f := m.Float64()
	return Name(int(20_000 * f * f * f))
}

// Name returns the i-th of the 20,000 names of packages; the lower, the more
// advisories are about it.
func Name(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 5))
	m := &maker{Rand: r}
	return m.word() + "-" + m.word()
}

func (m *maker) references(cve string) []object {
	return []object{{"type": "WEB", "url": "https://advisories.example/" + cve}, {"type": "FIX", "url": "https://git.example/commit/" + m.word() + m.word()}, {"type": "ADVISORY", "url": "https://nvd.example/vuln/detail/" + cve}}
}

func (m *maker) ghsa() string {
	const letters = "23456789cfghjmpqrvwx"
	id := []byte("GHSA-")
	for k := range 3 {
		if k > 0 {
			id = append(id, '-')
		}
		for range 4 {
			id = append(id, letters[m.IntN(len(letters))])
		}
	}
	return string(id)
}

func (m *maker) vector() string {
	pick := func(list string) byte { return list[m.IntN(len(list))] }
	return fmt.Sprintf("CVSS:3.1/AV:%c/AC:%c/PR:%c/UI:%c/S:U/C:%c/I:%c/A:%c", pick("NAL"), pick("LH"), pick("NLH"), pick("NR"), pick("NLH"), pick("NLH"), pick("NLH"))
}

// word returns one of some 3,000 words.
func (m *maker) word() string {
	const a, b = "bcdfghklmnprstvz", "aeiou"
	var w []byte
	for range 2 {
		w = append(w, a[m.IntN(len(a))], b[m.IntN(len(b))])
	}
	return string(w)
}

// EPSS writes scores for n identifiers in EPSS's form.
func EPSS(w io.Writer, n int, seed uint64) error {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 9))}
	if _, err := fmt.Fprintln(w, "#model_version:v2026.03.14,score_date:2026-11-22T12:00:00Z\ncve,epss,percentile"); err != nil {
		return err
	}
	for i := range n {
		if _, err := fmt.Fprintf(w, "%s,%.5f,%.5f\n", m.cve(i), m.Float64()/10, m.Float64()); err != nil {
			return err
		}
	}
	return nil
}

package source

import (
	"archive/zip"
	"bytes"
	"fmt"

	"touchstone.dev/touchstone/internal/advisory/release"
)

// Subject is what an archive is about, as far as a sample tells.
type Subject struct {
	// Name is "osv/<family>" when every record concerns one family of
	// ecosystems, as in the archives that OSV publishes, and "" otherwise.
	Name    string
	Records int // readable records in the sample
	Files   int // in the whole archive
}

// About looks at a sample of the archive at path.
func About(path string) (Subject, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return Subject{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	defer z.Close() //nolint:errcheck // it was only read
	const sample = 400
	step := max(len(z.File)/sample, 1)
	families := map[string]int{}
	about := Subject{Files: len(z.File)}
	var buf bytes.Buffer
	told, cves := 0, 0
	for i := 0; i < len(z.File); i += step {
		if _, err := fill(&buf, z.File[i]); err != nil {
			continue // whoever reads all of it will tell
		}
		r, err := Parse(buf.Bytes())
		if err != nil {
			continue
		}
		about.Records++
		if r.CVE != nil {
			cves++
			continue
		}
		seen := map[string]bool{}
		for j := range r.OSV.Affected {
			if p := &r.OSV.Affected[j].Package; p.Name != "" {
				seen[release.Family(p.Ecosystem)] = true
			}
		}
		if len(seen) > 0 {
			told++
		}
		for f := range seen {
			families[f]++
		}
	}
	// A record may concern a second family beside, so that two could be in
	// all of a small sample: then no one of them is what the archive is about.
	for f, n := range families {
		if n == told && cves == 0 {
			if about.Name != "" {
				about.Name = ""
				break
			}
			about.Name = "osv/" + f
		}
	}
	return about, nil
}

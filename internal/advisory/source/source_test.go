package source

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func put(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "misnamed.txt")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRecognise(t *testing.T) {
	const epss = "#model_version:v2026.03.14,score_date:2026-11-22T12:00:00Z\ncve,epss,percentile\nCVE-2026-0001,0.1,0.2\n"
	tests := []struct {
		name string
		b    []byte
		want Kind
	}{
		{"zip", zipped(t, map[string][]byte{"a": []byte("b")}), Zip},
		{"empty zip", zipped(t, nil), Zip},
		{"OSV", []byte("\ufeff {\"schema_version\":\"1.7.0\",\"id\":\"A-1\"}"), Single},
		{"OSV, its id late", []byte(`{"summary":"x","details":{"a":[1]},"affected":[]}`), Single},
		{"CVE", []byte(`{"dataType":"CVE_RECORD"}`), Single},
		{"KEV", []byte(`{"title":"x","count":1,"vulnerabilities":[]}`), KEV},
		{"KEV, packed", gzipped(t, `{"title":"x","catalogVersion":"1"}`), KEV},
		{"EPSS", []byte(epss), EPSS},
		{"EPSS, packed", gzipped(t, epss), EPSS},
		{"EPSS without its comment", []byte("cve,epss,percentile\n"), EPSS},
		{"OpenVEX", []byte(`{"@context":"https://openvex.dev/ns"}`), VEX},
		{"CSAF", []byte(`{"document":{}}`), VEX},
		{"a web page", []byte("<html>"), Other}, {"nothing", nil, Other}, {"text", []byte("hello"), Other}, {"half JSON", []byte(`{"title":`), Other},
		{"half gzip", gzipped(t, epss)[:8], Other}, {"another JSON", []byte(`{"a":1}`), Other}, {"a list", []byte(`[{"id":"A-1"}]`), Other},
	}
	for _, tt := range tests {
		if got, err := Recognise(put(t, tt.b)); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

// collect reads an archive and returns the ids of its records and the names of
// the malformed ones.
func collect(t *testing.T, b []byte) (ids, malformed []string, info Info, err error) {
	t.Helper()
	var mu sync.Mutex
	info, err = ReadZip(context.Background(), put(t, b), 2, func(e *Entry) error {
		mu.Lock()
		defer mu.Unlock()
		if e.Err != nil {
			malformed = append(malformed, e.Name)
		} else {
			ids = append(ids, e.Record.OSV.ID)
		}
		return nil
	})
	return ids, malformed, info, err
}

func TestReadZip(t *testing.T) {
	good := map[string][]byte{"a/1.json": []byte(`{"id":"A-1"}`), "2": []byte(` {"id":"A-2"}`), "README.md": []byte("hello"), "cut.json": []byte(`{"id":`), "dir/": nil, "empty.json": nil}
	ids, malformed, info, err := collect(t, zipped(t, good))
	if err != nil || len(ids) != 2 || len(malformed) != 2 || info.Ignored != 2 {
		t.Errorf("%q, malformed %q, %+v, %v", ids, malformed, info, err)
	}
	for name, b := range map[string][]byte{"cut short": zipped(t, good)[:200], "no zip": []byte("PK\x03\x04"), "text": []byte("hello")} {
		if _, _, _, err := collect(t, b); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBomb has a record that unpacks to more than any record may have.
func TestBomb(t *testing.T) {
	bomb := append([]byte(`{"id":"A-1","details":"`), bytes.Repeat([]byte("a"), LargestRecord)...)
	ids, malformed, _, err := collect(t, zipped(t, map[string][]byte{"bomb.json": append(bomb, `"}`...), "good.json": []byte(`{"id":"A-2"}`)}))
	if err != nil || len(ids) != 1 || len(malformed) != 1 || malformed[0] != "bomb.json" {
		t.Errorf("%q, malformed %q, %v", ids, malformed, err)
	}
}

func TestParse(t *testing.T) {
	for name, text := range map[string]string{
		"no id": `{"affected":[]}`, "an id of another type": `{"id":7}`, "an id with a newline": `{"id":"a\nb"}`, "a long id": `{"id":"` + strings.Repeat("a", 300) + `"}`,
		"a list": `[]`, "a CVE record without an id": `{"dataType":"CVE_RECORD","cveMetadata":{}}`, "nothing": ``, "aliases of another type": `{"id":"A-1","aliases":"x"}`,
	} {
		if r, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	r, err := Parse([]byte(`{"id":"A-1","modified":"yesterday","published":"2026-01-02T03:04:05.6Z","database_specific":7,"affected":[{"package":{"name":"x","ecosystem":"Go"},"ecosystem_specific":null,"severity":null}]}`))
	if err != nil || !r.OSV.Modified.IsZero() || r.OSV.Published.Year() != 2026 {
		t.Errorf("%+v %v", r.OSV, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"A-1","aliases":["CVE-2026-0001"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],"affected":[{"package":{"name":"x","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]}],"ecosystem_specific":{"imports":[{"path":"x","symbols":["a"]}]}}]}`))
	f.Add([]byte(`{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2026-0001","state":"PUBLISHED"},"containers":{"cna":{"metrics":[{"cvssV3_1":{"vectorString":"x","baseScore":1.5}}]},"adp":[{"metrics":[{"other":{"type":"ssvc","content":{"options":[{"Exploitation":"none"}]}}}]}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err == nil && (r.OSV == nil) == (r.CVE == nil) {
			t.Fatalf("%+v", r)
		}
		if err == nil && r.OSV != nil {
			if s := r.OSV.ShortSummary(); len(s) > 210 || strings.ContainsAny(s, "\n\r\t") {
				t.Fatalf("%q", s)
			}
		}
	})
}

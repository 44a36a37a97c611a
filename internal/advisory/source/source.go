// Package source reads what advisories are published in: zips of records as OSV
// and CVE publish them, single records, CISA's list and EPSS. What a file is is
// told by its content, never by its name. Records go to the caller one by one,
// from several goroutines; nothing is kept and nothing is unpacked to disk.
//
// Whatever is read was written by others: every record, archive and list has a
// bound, and a record that cannot be read is handed over as an error beside its
// name, so that it can be counted and told.
package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"

	"touchstone.dev/touchstone/internal/advisory/cve"
	"touchstone.dev/touchstone/internal/advisory/osv"
)

// Kind says what a file holds.
type Kind string

// The kinds of file.
const (
	Zip    Kind = "zip"    // an archive of records
	Single Kind = "record" // one OSV or CVE record
	KEV    Kind = "kev"    // CISA's known exploited vulnerabilities
	EPSS   Kind = "epss"   // EPSS scores, gzip or plain
	VEX    Kind = "vex"    // an OpenVEX or CSAF document
	Other  Kind = "other"  // none of these
)

// Bounds on what is read. The largest real record has some 3 MB.
const (
	LargestRecord  = 16 << 20
	LargestList    = 256 << 20 // KEV and EPSS, uncompressed
	LargestArchive = 8 << 30
	MostRecords    = 5_000_000
	MostBytes      = 64 << 30 // uncompressed, in one archive
)

// ErrArchive marks an archive that is itself broken: then nothing in it counts.
var ErrArchive = errors.New("the archive is damaged")

// Recognise says what the file at path is.
func Recognise(path string) (Kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return Other, err
	}
	defer f.Close()
	return recognise(f, true)
}

func recognise(r io.Reader, compressed bool) (Kind, error) {
	in := bufio.NewReaderSize(r, 1<<14)
	head, err := in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return Other, err
	}
	if bytes.HasPrefix(head, []byte(mark)) {
		head = head[len(mark):]
		if _, err := in.Discard(len(mark)); err != nil {
			return Other, err
		}
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return Zip, nil
	case compressed && bytes.HasPrefix(head, []byte("\x1f\x8b")):
		gz, err := gzip.NewReader(in)
		if err != nil {
			return Other, nil
		}
		return recognise(io.LimitReader(gz, LargestList), false)
	case bytes.HasPrefix(text, []byte("cve,epss")), bytes.HasPrefix(text, []byte("#model_version")):
		return EPSS, nil
	case bytes.HasPrefix(text, []byte("{")):
		return kindOfJSON(io.LimitReader(in, LargestList))
	}
	return Other, nil
}

// mark is the byte order mark that some editors put before a text.
const mark = "\xef\xbb\xbf"

// kindOfJSON looks at the keys of the outermost object until one tells.
func kindOfJSON(r io.Reader) (Kind, error) {
	d := json.NewDecoder(r)
	if _, err := d.Token(); err != nil {
		return Other, nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return Other, nil
		}
		switch key {
		case "dataType", "cveMetadata", "containers", "dataVersion", "schema_version", "id", "affected", "modified", "aliases", "upstream":
			return Single, nil
		case "catalogVersion", "vulnerabilities", "dateReleased":
			return KEV, nil
		case "@context", "@id", "statements", "document", "product_tree":
			return VEX, nil
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return Other, nil
		}
	}
	return Other, nil
}

// Record is one record: exactly one field is set.
type Record struct {
	OSV *osv.Record
	CVE *cve.Enrichment
}

// Parse reads one record of either format.
func Parse(b []byte) (Record, error) {
	b = bytes.TrimPrefix(b, []byte(mark))
	// Nearly every record is OSV: it is read at once, and again only when it
	// turns out to be the other.
	var record struct {
		osv.Record
		DataType string          `json:"dataType"`
		Meta     json.RawMessage `json:"cveMetadata"`
	}
	if err := json.Unmarshal(b, &record); err != nil {
		return Record{}, err
	}
	if record.Meta != nil || record.DataType == "CVE_RECORD" {
		var r cve.Record
		if err := json.Unmarshal(b, &r); err != nil {
			return Record{}, err
		}
		e, err := r.Enrichment()
		return Record{CVE: e}, err
	}
	if err := record.Check(); err != nil {
		return Record{}, err
	}
	return Record{OSV: &record.Record}, nil
}

// ReadKEV reads CISA's list.
func ReadKEV(path string) (*cve.Catalog, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	var r io.Reader = in
	if head, _ := in.Peek(2); string(head) == "\x1f\x8b" {
		if r, err = gzip.NewReader(in); err != nil {
			return nil, fmt.Errorf("read the list of known exploited vulnerabilities: %w", err)
		}
	}
	b, err := io.ReadAll(io.LimitReader(r, LargestList))
	if err != nil {
		return nil, fmt.Errorf("read the list of known exploited vulnerabilities: %w", err)
	}
	return cve.ParseCatalog(bytes.TrimPrefix(b, []byte(mark)))
}

// OpenEPSS opens the scores for cve.ReadEPSS, decompressed and bounded.
func OpenEPSS(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(f)
	if head, _ := in.Peek(2); string(head) == "\x1f\x8b" {
		gz, err := gzip.NewReader(in)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("read EPSS scores: %w", err)
		}
		return readCloser{io.LimitReader(gz, LargestList), f}, nil
	}
	return readCloser{io.LimitReader(in, LargestList), f}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

package secrets

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The project itself holds nothing that looks like a secret: whoever looks into
// it with a tool like this one must not be alarmed. Another folder is looked at,
// without judging it, with TOUCHSTONE_TEST_ROOT=/some/root go test -run Folder -v:
// so false alarms are found. Values are not printed.
func TestFolder(t *testing.T) {
	root, given := os.LookupEnv("TOUCHSTONE_TEST_ROOT")
	if !given {
		root = filepath.Join("..", "..", "..")
	}
	var wanted, looked int64
	var files, kept int
	var asking, scanning time.Duration
	_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() && (rel == "proc" || rel == "sys" || rel == "dev" || rel == ".git") {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil || len(content) > 64<<20 {
			return nil
		}
		files++
		looked += int64(len(content))
		start := time.Now()
		wants := Wants(rel, int64(len(content)), content[:min(512, len(content))])
		asking += time.Since(start)
		if !wants {
			return nil
		}
		kept++
		wanted += int64(min(len(content), Limit))
		start = time.Now()
		found := Scan(rel, content, []byte("key"))
		scanning += time.Since(start)
		for _, s := range found {
			t.Logf("%s %s:%d", s.Kind, s.Path, s.Line)
			if !given {
				t.Fail()
			}
		}
		return nil
	})
	t.Logf("%d files of %d MB asked about in %v; %d of %d MB scanned in %v", files, looked>>20, asking, kept, wanted>>20, scanning)
}

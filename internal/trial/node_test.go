package trial

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"touchstone.dev/touchstone/internal/makeimage"
)

// express was released in September 2017.
const express = "express@4.16.0"

// newExpress has npm install the old express and returns the folder.
func newExpress(t *testing.T) string {
	t.Helper()
	need(t, "npm", "node", "cp")
	return cached(t, "npm-"+express, func(to string) error {
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		return execute("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", to, express)
	})
}

// npmNode is a package in the answer of "npm ls --all --long --json".
type npmNode struct {
	Name         string             `json:"name"`
	Version      string             `json:"version"`
	Path         string             `json:"path"`
	Dependencies map[string]npmNode `json:"dependencies"`
}

// below adds every folder below node_modules to found, with its package.
func (n npmNode) below(root string, found map[string]string) error {
	for _, d := range n.Dependencies {
		path, err := filepath.Rel(root, d.Path)
		if err != nil {
			return err
		}
		found["app/"+filepath.ToSlash(path)+"/package.json"] = d.Name + " " + d.Version
		if err := d.below(root, found); err != nil {
			return err
		}
	}
	return nil
}

// What npm installed is what npm lists, folder by folder, and the two holes that
// are known of those versions are found.
func TestNode(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(newExpress(t)) // as npm tells paths
	if err != nil {
		t.Fatal(err)
	}
	var tree npmNode
	if err := json.Unmarshal([]byte(output(t, exec.Command("npm", "ls", "--all", "--long", "--json", "--prefix", dir))), &tree); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	if err := tree.below(dir, want); err != nil {
		t.Fatal(err)
	}
	if len(want) < 40 {
		t.Fatalf("npm lists %d packages, which is no express", len(want))
	}

	im := image(t, makeimage.Image{Layers: []makeimage.Layer{folder(t, "COPY . /app", dir, "app")}})
	doc := newMachine(t, filepath.Join("testdata", "osv")).check(1, archive(t, im))
	got := map[string]string{}
	for _, p := range doc.Packages {
		if p.Ecosystem != "npm" {
			t.Errorf("%s is of %q", p.Path, p.Ecosystem)
		}
		got[p.Path] = p.Name + " " + p.Version
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (- npm ls, + touchstone):\n%s", diff)
	}

	var holes []string
	for i := range doc.Matches {
		m := &doc.Matches[i]
		holes = append(holes, fmt.Sprintf("%s in %s %s, %.1f, mended in %s", m.ID, m.Package.Name, m.Package.Version, m.Score, m.FixedVersions))
	}
	known := []string{
		"CVE-2022-24999 in express 4.16.0, 7.5, mended in [4.17.3]",
		"CVE-2022-24999 in qs 6.5.1, 7.5, mended in [6.5.3 6.6.1 6.7.3 6.8.3 6.9.7 6.10.3]",
		"CVE-2024-29041 in express 4.16.0, 6.1, mended in [4.19.2 5.0.0-beta.3]",
	}
	if diff := cmp.Diff(known, holes, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Errorf("holes (- known, + found):\n%s", diff)
	}
}

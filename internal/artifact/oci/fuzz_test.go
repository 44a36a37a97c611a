package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone"
)

// FuzzArchive reads a stranger's archive to the last layer.
func FuzzArchive(f *testing.F) {
	img := imageOf(f, "linux", "amd64", "", "one")
	docker := dockerArchive(f, map[string]v1.Image{"cart": img})
	f.Add(docker, "")
	f.Add(zipped(f, docker), "cart")
	f.Add(zstandard(f, docker), "")
	f.Add(pack(f, layoutOf(f, map[string]any{"": img})), "")
	f.Add(withLink(f, "a", "b", [2]string{"manifest.json", `[{"Config": "a"}]`}), "")
	f.Fuzz(func(t *testing.T, raw []byte, choice string) {
		a := &archive{data: bytes.NewReader(raw), size: int64(len(raw)), stamp: "s"}
		defer func() { _ = a.Close() }()
		o := Options{MaxManifest: 1 << 16, MaxSpool: 1 << 20}.withDefaults()
		if a.read(context.Background(), false, o) != nil {
			return
		}
		images, err := a.images(context.Background(), choice, FormAny, o)
		if err != nil {
			return
		}
		for _, img := range images {
			_ = readLayers(img)
		}
	})
}

// memory is files in memory, for the layouts that the fuzzer makes up.
type memory map[string]string

func (m memory) Close() error { return nil }

func (m memory) stat(name string) (fileInfo, error) {
	text, ok := m[name]
	if !ok {
		return fileInfo{}, fs.ErrNotExist
	}
	return fileInfo{size: int64(len(text))}, nil
}

func (m memory) open(name string) (io.ReadCloser, error) {
	if _, err := m.stat(name); err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(m[name])), nil
}

// FuzzLayout opens a stranger's index, manifest and config. MANIFEST and CONFIG
// in them stand for descriptors that fit, as no fuzzer finds a digest.
func FuzzLayout(f *testing.F) {
	const one = `{"schemaVersion": 2, "config": CONFIG, "layers": [{"digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000", "size": 1}]}`
	const config = `{"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": ["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}`
	f.Add(`{"manifests": [MANIFEST]}`, one, config, "")
	f.Add(`{"manifests": [MANIFEST]}`, `{"manifests": [CONFIG]}`, `{"manifests": []}`, "linux/amd64")
	f.Add(`{"manifests": [MANIFEST, MANIFEST]}`, strings.Replace(one, "CONFIG", "null", 1), `null`, "linux/arm64/v8")
	f.Fuzz(func(t *testing.T, index, manifest, config, platform string) {
		files := memory{}
		add := func(text, what, in string) string {
			digest := string(touchstone.DigestOf([]byte(text)))
			files["blobs/sha256/"+digest[len("sha256:"):]] = text
			return strings.ReplaceAll(in, what, `{"mediaType": "", "digest": "`+digest+`", "size": `+strconv.Itoa(len(text))+`}`)
		}
		manifest = add(config, "CONFIG", manifest)
		files["index.json"] = add(manifest, "MANIFEST", index)
		images, err := openLayout(context.Background(), files, "", Options{Platform: platform, MaxManifest: 1 << 16}.withDefaults())
		if err != nil {
			return
		}
		for _, img := range images {
			if len(img.layers) > 0 && !img.layers[0].DiffID.Valid() {
				t.Errorf("an image was opened whose layer has no diff ID: %+v", img)
			}
			_ = readLayers(img)
		}
	})
}

func TestNestedIndexesEnd(t *testing.T) {
	files := memory{}
	inner := `{"schemaVersion": 2, "manifests": []}`
	for range 100 {
		digest := string(touchstone.DigestOf([]byte(inner)))
		files["blobs/sha256/"+digest[len("sha256:"):]] = inner
		inner = fmt.Sprintf(`{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": %q, "size": %d}]}`, digest, len(inner))
	}
	files["index.json"] = inner
	_, err := openLayout(context.Background(), files, "", Options{}.withDefaults())
	if err == nil || !strings.Contains(err.Error(), "nested more than") {
		t.Errorf("error %v", err)
	}

	many := `{"manifests": [` + strings.Repeat(`{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:`+strings.Repeat("0", 64)+`", "size": 1},`, 5000)
	many = strings.TrimSuffix(many, ",") + "]}"
	digest := string(touchstone.DigestOf([]byte(many)))
	files["blobs/sha256/"+digest[len("sha256:"):]] = many
	files["index.json"] = fmt.Sprintf(`{"manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": %q, "size": %d}]}`, digest, len(many))
	_, err = openLayout(context.Background(), files, "", Options{}.withDefaults())
	if err == nil || !strings.Contains(err.Error(), "more than 256 images") {
		t.Errorf("error %v", err)
	}
}

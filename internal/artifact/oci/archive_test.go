package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// dockerArchive returns a docker archive of images by tag.
func dockerArchive(t testing.TB, images map[string]v1.Image) []byte {
	t.Helper()
	refs := map[name.Tag]v1.Image{}
	for tag, img := range images {
		parsed, err := name.NewTag(tag)
		if err != nil {
			t.Fatal(err)
		}
		refs[parsed] = img
	}
	var buf bytes.Buffer
	if err := tarball.MultiWrite(refs, &buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// layoutOf writes an OCI layout and returns its folder. Each image has the name
// that it is listed under, but for "".
func layoutOf(t testing.TB, images map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.FromPath(dir)
	if err != nil {
		l, err = layout.Write(dir, emptyIndex())
	}
	if err != nil {
		t.Fatal(err)
	}
	for ref, what := range images {
		var options []layout.Option
		if ref != "" {
			options = append(options, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref}))
		}
		switch it := what.(type) {
		case v1.Image:
			err = l.AppendImage(it, options...)
		case v1.ImageIndex:
			err = l.AppendIndex(it, options...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pack returns a tar of a folder, with more files after it.
func pack(t testing.TB, dir string, more ...[2]string) []byte {
	t.Helper()
	var files [][2]string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files = append(files, [2]string{"./" + strings.TrimPrefix(path, dir+"/"), string(raw)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tarOf(t, append(files, more...)...)
}

// dockerFiles returns the files of a docker archive written by hand.
func dockerFiles(t testing.TB, list string, img v1.Image) [][2]string {
	t.Helper()
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	files := [][2]string{{"config.json", string(config)}}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n, layer := range layers {
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, [2]string{fmt.Sprintf("%d/layer.tar", n), string(raw)})
	}
	return append(files, [2]string{"manifest.json", list})
}

func zipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstandard(t testing.TB, raw []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(raw, nil)
}

func TestOpenArchive(t *testing.T) {
	cart, shop := imageOf(t, "linux", "amd64", "", "one", "two"), imageOf(t, "linux", "arm64", "v8", "drei")
	index := indexOf(t)
	single := dockerArchive(t, map[string]v1.Image{"shop/cart:1.4": cart})
	several := dockerArchive(t, map[string]v1.Image{"shop/cart:1.4": cart, "shop/shop:2": shop})
	ociSingle := pack(t, layoutOf(t, map[string]any{"": cart}))
	ociSeveral := pack(t, layoutOf(t, map[string]any{"1.4": cart, "2": shop}))
	ociIndex := pack(t, layoutOf(t, map[string]any{"1": index}))
	hand := `[{"Config": "config.json", "RepoTags": null, "Layers": ["0/layer.tar", "1/layer.tar"]}]`
	byHand := dockerFiles(t, hand, cart)
	both := func(inside v1.Image) []byte {
		return pack(t, layoutOf(t, map[string]any{"": cart}), dockerFiles(t, hand, inside)...)
	}

	for _, test := range []struct {
		name             string
		raw              []byte
		choice, platform string
		form             Form
		want             []string // platforms
		err              string
		lie              bool // the error wraps ErrFalse
	}{
		{name: "docker", raw: single, want: []string{"linux/amd64"}},
		{name: "docker gzip", raw: zipped(t, single), want: []string{"linux/amd64"}},
		{name: "docker zstd", raw: zstandard(t, single), want: []string{"linux/amd64"}},
		{name: "docker by tag", raw: several, choice: "shop/shop:2", want: []string{"linux/arm64/v8"}},
		{name: "docker by full name", raw: several, choice: "docker.io/shop/cart:1.4", want: []string{"linux/amd64"}},
		{name: "docker by image ID", raw: several, choice: configDigest(t, shop), want: []string{"linux/arm64/v8"}},
		{name: "docker several", raw: several, err: "it holds several images: shop/cart:1.4, shop/shop:2\nhint: choose one"},
		{name: "docker no such tag", raw: several, choice: "shop/cart:9", err: "no such image: shop/cart:9\nhint: there is shop/cart:1.4"},
		{name: "docker other platform", raw: single, platform: "linux/s390x", err: "no image for platform linux/s390x\nhint: there is linux/amd64"},
		{name: "docker by hand", raw: tarOf(t, byHand...), want: []string{"linux/amd64"}},
		{name: "docker as OCI", raw: single, form: FormOCI, err: "not an image archive of the form oci-archive"},
		{name: "OCI", raw: ociSingle, want: []string{"linux/amd64"}},
		{name: "OCI gzip", raw: zipped(t, ociSingle), want: []string{"linux/amd64"}},
		{name: "OCI by tag", raw: ociSeveral, choice: "2", want: []string{"linux/arm64/v8"}},
		{name: "OCI by digest", raw: ociSeveral, choice: string(digestOfImage(t, shop)), want: []string{"linux/arm64/v8"}},
		{name: "OCI several", raw: ociSeveral, err: "it holds several images: 1.4, 2\nhint: choose one"},
		{name: "OCI no such tag", raw: ociSeveral, choice: "3", err: "no such image: 3\nhint: there is 1.4, 2"},
		{name: "OCI index", raw: ociIndex, want: []string{"linux/amd64", "linux/arm64/v8"}},
		{name: "OCI index platform", raw: ociIndex, platform: "linux/arm64", want: []string{"linux/arm64/v8"}},
		{name: "both", raw: both(cart), want: []string{"linux/amd64"}},
		{name: "both as docker", raw: both(cart), form: FormDocker, want: []string{"linux/amd64"}},
		{name: "both, different", raw: both(imageOf(t, "linux", "amd64", "", "bad", "worse")), err: "tools would load different images", lie: true},
		{name: "fewer layers", raw: tarOf(t, dockerFiles(t, `[{"Config": "config.json", "Layers": ["0/layer.tar"]}]`, cart)...),
			err: "the manifest has 1 layers and the config names 2", lie: true},
		{name: "two lists", raw: tarOf(t, append(byHand, [2]string{"./manifest.json", "[]"})...), err: "two different files called manifest.json", lie: true},
		{name: "image or rootfs", raw: tarOf(t, append(byHand, [2]string{"etc/passwd", ""})...), err: "could be an image archive or a root file system"},
		{name: "rootfs or image", raw: zipped(t, tarOf(t, append([][2]string{{"./etc/passwd", ""}}, byHand...)...)), err: "could be an image archive or a root file system"},
		{name: "image, for sure", raw: tarOf(t, append(byHand, [2]string{"etc/passwd", ""})...), form: FormDocker, want: []string{"linux/amd64"}},
		{name: "rootfs with a manifest", raw: tarOf(t, [2]string{"etc/passwd", ""}, [2]string{"manifest.json", `{"name": "app"}`}), err: ErrNoImage.Error()},
		{name: "rootfs", raw: tarOf(t, [2]string{"./usr/bin/true", "x"}), err: ErrNoImage.Error()},
		{name: "before 1.10", raw: tarOf(t, [2]string{"repositories", "{}"}, [2]string{"ab/layer.tar", ""}), err: "before version 1.10"},
		{name: "empty", raw: tarOf(t), err: "the archive is empty"},
		{name: "nothing", raw: nil, err: "the archive is empty"},
		{name: "no tar", raw: bytes.Repeat([]byte("hello "), 500), err: "not a tar archive"},
		{name: "xz", raw: []byte("\xfd7zXZ\x00"), err: "decompress it first"},
		{name: "truncated", raw: single[:len(single)-len(single)/4], err: "damaged"},
		{name: "truncated gzip", raw: zipped(t, single)[:400], err: "damaged"},
		{name: "bad list", raw: tarOf(t, [2]string{"manifest.json", "{}"}), err: "manifest.json is not that of a docker archive"},
		{name: "empty list", raw: tarOf(t, [2]string{"manifest.json", "[]"}), err: "manifest.json names 0 images"},
		{name: "no config", raw: tarOf(t, [2]string{"manifest.json", `[{"Config": "x.json"}]`}), err: "reading the config of an image"},
		{name: "link in a circle", raw: withLink(t, "config.json", "config.json", dockerFiles(t, hand, cart)[1:]...), err: "reading the config of an image"},
		{name: "link out of it", raw: withLink(t, "config.json", "../../../etc/passwd", dockerFiles(t, hand, cart)[1:]...), err: "reading the config of an image"},
		{name: "linked layer", raw: withLink(t, "1/layer.tar", "../0/layer.tar", without("1/layer.tar", byHand)...), want: []string{"linux/amd64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, "image.tar", test.raw)
			opened, err := OpenArchive(context.Background(), path, test.choice, test.form, Options{Platform: test.platform})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				if errors.Is(err, artifact.ErrFalse) != test.lie || errors.Is(err, artifact.ErrOutside) {
					t.Errorf("error %q is of the wrong kind", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range opened {
				a := s.Artifact()
				got = append(got, a.Platform)
				if !a.Digest.Valid() || a.Source != path || a.Name != "" {
					t.Errorf("artifact %+v", a)
				}
				check(t, s)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func configDigest(t testing.TB, img v1.Image) string {
	t.Helper()
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return string(touchstone.DigestOf(raw))
}

func without(name string, files [][2]string) [][2]string {
	var rest [][2]string
	for _, f := range files {
		if f[0] != name {
			rest = append(rest, f)
		}
	}
	return rest
}

// withLink returns a tar that begins with a symbolic link.
func withLink(t testing.TB, name, target string, files ...[2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return append(buf.Bytes(), tarOf(t, files...)...)
}

func TestDockerArchiveDigestIsImageID(t *testing.T) {
	img := imageOf(t, "linux", "amd64", "", "one")
	path := write(t, "image.tar", dockerArchive(t, map[string]v1.Image{"cart": img}))
	opened, err := OpenArchive(context.Background(), path, "", FormAny, Options{Name: "shop/cart:1", Now: later})
	if err != nil {
		t.Fatal(err)
	}
	want := touchstone.Artifact{
		Name: "shop/cart:1", Source: path, Kind: touchstone.KindImage,
		Digest: touchstone.Digest(configDigest(t, img)), Platform: "linux/amd64",
	}
	if diff := cmp.Diff(want, opened[0].Artifact()); diff != "" {
		t.Error(diff)
	}
	if touchstone.DigestOf(opened[0].Config()) != want.Digest || opened[0].Layers()[0].Stamp == "" {
		t.Error("config or stamp are not as they should be")
	}
	check(t, opened[0])
}

func TestArchiveLacksLayer(t *testing.T) {
	cart := imageOf(t, "linux", "amd64", "", "one", "two")
	hand := `[{"Config": "config.json", "Layers": ["0/layer.tar", "1/layer.tar"]}]`
	dir := layoutOf(t, map[string]any{"": cart})
	manifest, err := cart.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "blobs/sha256", manifest.Layers[1].Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	for form, raw := range map[Form][]byte{
		FormDocker: tarOf(t, without("1/layer.tar", dockerFiles(t, hand, cart))...),
		FormOCI:    pack(t, dir),
	} {
		opened, err := OpenArchive(context.Background(), write(t, "image.tar", raw), "", FormAny, Options{})
		if err != nil {
			t.Fatal(err)
		}
		layers := opened[0].Layers()
		if layers[0].Absent != "" || !strings.Contains(layers[1].Absent, "names the layer") {
			t.Errorf("%s: layers %+v", form, layers)
		}
		check(t, opened[0])
	}
}

func TestSpoolIsBoundedAndUnlinked(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := write(t, "image.tar.gz", zipped(t, dockerArchive(t, map[string]v1.Image{"cart": imageOf(t, "linux", "amd64", "", "one")})))
	_, err := OpenArchive(context.Background(), path, "", FormAny, Options{MaxSpool: 2048})
	if err == nil || !strings.Contains(err.Error(), "larger than 2048 bytes when decompressed") {
		t.Errorf("error %v", err)
	}
	opened, err := OpenArchive(context.Background(), path, "", FormAny, Options{})
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	check(t, opened[0])
}

func TestSharedFileIsClosedLast(t *testing.T) {
	path := write(t, "image.tar", pack(t, layoutOf(t, map[string]any{"": indexOf(t)})))
	opened, err := OpenArchive(context.Background(), path, "", FormAny, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing twice is once
		if err := opened[0].Close(); err != nil {
			t.Fatal(err)
		}
	}
	check(t, opened[1])
	if err := readLayers(opened[1]); err == nil {
		t.Error("the file is still open")
	}
}

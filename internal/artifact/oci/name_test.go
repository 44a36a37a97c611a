package oci

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"pgregory.net/rapid"
)

func TestFullName(t *testing.T) {
	const digest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for given, want := range map[string]string{
		"busybox":                         "docker.io/library/busybox:latest",
		"busybox:1.36":                    "docker.io/library/busybox:1.36",
		"shop/cart":                       "docker.io/shop/cart:latest",
		"docker.io/busybox":               "docker.io/library/busybox:latest",
		"index.docker.io/library/busybox": "docker.io/library/busybox:latest",
		"localhost/cart":                  "localhost/cart:latest",
		"localhost:5000/cart":             "localhost:5000/cart:latest",
		"registry.example/shop/cart:1.4":  "registry.example/shop/cart:1.4",
		"cart" + digest:                   "docker.io/library/cart" + digest,
		"r.example:5000/cart:1" + digest:  "r.example:5000/cart:1" + digest,
		"":                                "docker.io/library/:latest",
	} {
		if got := FullName(given); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}

// A full name is full, and means what the shorter one meant.
func TestFullNameLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.StringMatching(`([a-z]{1,8}(\.[a-z]{2,4})?(:[0-9]{2,4})?/)?[a-z]{1,8}(/[a-z]{1,8})?(:[a-z0-9.]{1,8})?`).Draw(t, "name")
		full := FullName(given)
		if again := FullName(full); again != full {
			t.Fatalf("%s, then %s", full, again)
		}
		want, err := name.ParseReference(given)
		if err != nil {
			return // ":80/x" and the like
		}
		got, err := name.ParseReference(full)
		if err != nil || got.Name() != want.Name() {
			t.Fatalf("%s means %v, %s meant %v (%v)", full, got, given, want, err)
		}
	})
}

func TestSatisfies(t *testing.T) {
	for _, test := range []struct {
		image, want string
		ok          bool
	}{
		{"linux/amd64", "linux/amd64", true},
		{"linux/arm64/v8", "linux/arm64", true},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm/v7", "linux/arm", true},
		{"linux/arm/v7", "linux/arm/v6", false},
		{"linux/arm", "linux/arm/v6", false},
		{"linux/amd64/v2", "linux/amd64", true},
		{"windows/amd64", "linux/amd64", false},
	} {
		image, err := parsePlatform(test.image)
		if err != nil {
			t.Fatal(err)
		}
		want, err := parsePlatform(test.want)
		if err != nil {
			t.Fatal(err)
		}
		if image.satisfies(want) != test.ok {
			t.Errorf("%s for %s: %v", test.image, test.want, !test.ok)
		}
	}
}

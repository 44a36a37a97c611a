package vex

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func cart() touchstone.Artifact {
	return touchstone.Artifact{Name: "registry.example/shop/cart:1.4", Digest: digest}
}

func openssl() *touchstone.Match {
	return &touchstone.Match{ID: "CVE-2026-1", Aliases: []string{"GHSA-1"}, Package: touchstone.PackageRef{
		Name: "openssl", Version: "3.0.1-1", PURL: "pkg:deb/debian/openssl@3.0.1-1?arch=amd64&distro=debian-12", Ecosystem: "Debian:12"}}
}

func openvex(products, status, at string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example/vex/7","author":"Team Pay","timestamp":"2026-01-01T00:00:00Z","statements":[
		{"vulnerability":{"name":"CVE-2026-1"},"products":[%s],"status":%q,"justification":"vulnerable_code_not_in_execute_path","timestamp":%q}]}`, products, status, at)
}

func TestProducts(t *testing.T) {
	tests := []struct {
		products string
		want     bool
	}{
		{`{"@id":"pkg:deb/debian/openssl"}`, true},
		{`{"@id":"pkg:deb/debian/openssl@3.0.1-1"}`, true},
		{`{"@id":"pkg:deb/debian/openssl@3.0.1-1?distro=debian-12"}`, true},
		{`{"@id":"pkg:deb/debian/openssl@3.0.1-1?distro=debian-11"}`, false},
		{`{"@id":"pkg:deb/debian/openssl@3.0.2"}`, false},
		{`{"@id":"pkg:deb/ubuntu/openssl"}`, false},
		{`{"@id":"x","identifiers":{"purl":"pkg:deb/debian/openssl"}}`, true},
		{`"pkg:deb/debian/openssl"`, true},
		{`{"@id":"registry.example/shop/cart:1.4"}`, true},
		{`{"@id":"registry.example/shop/cart:1.5"}`, false},
		{`{"@id":"` + digest + `"}`, true},
		{`{"@id":"pkg:oci/cart@` + digest + `"}`, true},
		{`{"@id":"pkg:oci/cart@sha256%3A` + digest[7:] + `?repository_url=registry.example/shop/cart"}`, true},
		{`{"@id":"pkg:oci/cart?repository_url=registry.example/shop"}`, true},
		{`{"@id":"pkg:oci/cart?repository_url=registry.example/shop/cart&tag=1.4"}`, true},
		{`{"@id":"pkg:oci/cart?repository_url=registry.example/shop/cart&tag=1.5"}`, false},
		{`{"@id":"pkg:oci/cart?repository_url=registry.other/shop/cart"}`, false},
		{`{"@id":"pkg:oci/cart"}`, false},
		{`{"@id":"x","hashes":{"sha-256":"` + digest[7:] + `"}}`, true},
		{`{"@id":"registry.example/shop/cart:1.4","subcomponents":[{"@id":"pkg:deb/debian/openssl"}]}`, true},
		{`{"@id":"registry.example/shop/cart:1.4","subcomponents":[{"@id":"pkg:deb/debian/zlib"}]}`, false},
		{`{"@id":"pkg:deb/debian/openssl","subcomponents":[{"@id":"pkg:deb/debian/openssl"}]}`, false},
	}
	for _, tt := range tests {
		d := &Documents{}
		if _, err := d.Add([]byte(openvex(tt.products, "not_affected", "2026-02-01T00:00:00Z")), "x", []string{"Team Pay"}); err != nil {
			t.Fatal(err)
		}
		if _, got := d.About(cart()).Judge(openssl()); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.products, got, tt.want)
		}
	}
}

func TestStatus(t *testing.T) {
	const product = `{"@id":"pkg:deb/debian/openssl"}`
	tests := []struct {
		name      string
		documents []string
		want      string
	}{
		{"not affected", []string{openvex(product, "not_affected", "2026-02-01T00:00:00Z")},
			"Team Pay says that it is not affected: vulnerable_code_not_in_execute_path (https://example/vex/7, 2026-02-01T00:00:00Z)"},
		{"fixed", []string{openvex(product, "fixed", "2026-02-01T00:00:00Z")}, "Team Pay says that it is mended (https://example/vex/7, 2026-02-01T00:00:00Z)"},
		{"under investigation", []string{openvex(product, "under_investigation", "2026-02-01T00:00:00Z")}, ""},
		{"affected", []string{openvex(product, "affected", "2026-02-01T00:00:00Z")}, ""},
		{"the newest counts", []string{openvex(product, "not_affected", "2026-02-01T00:00:00Z"), openvex(product, "affected", "2026-03-01T00:00:00Z")}, ""},
		{"whatever the order", []string{openvex(product, "affected", "2026-03-01T00:00:00Z"), openvex(product, "not_affected", "2026-02-01T00:00:00Z")}, ""},
		{"admitting wins a tie", []string{openvex(product, "not_affected", "2026-02-01T00:00:00Z"), openvex(product, "affected", "2026-02-01T00:00:00Z")}, ""},
		{"an investigation changes nothing", []string{openvex(product, "fixed", "2026-02-01T00:00:00Z"), openvex(product, "under_investigation", "2026-03-01T00:00:00Z")},
			"Team Pay says that it is mended (https://example/vex/7, 2026-02-01T00:00:00Z)"},
		{"no reason given", []string{strings.ReplaceAll(openvex(product, "not_affected", "2026-02-01T00:00:00Z"), `"vulnerable_code_not_in_execute_path"`, `""`)}, ""},
		{"another hole", []string{strings.ReplaceAll(openvex(product, "not_affected", "2026-02-01T00:00:00Z"), "CVE-2026-1", "CVE-2026-2")}, ""},
		{"an alias", []string{strings.ReplaceAll(openvex(product, "fixed", "2026-02-01T00:00:00Z"), "CVE-2026-1", "GHSA-1")}, "Team Pay says that it is mended (https://example/vex/7, 2026-02-01T00:00:00Z)"},
	}
	for _, tt := range tests {
		d := &Documents{}
		for _, b := range tt.documents {
			if _, err := d.Add([]byte(b), "x", []string{"Team Pay"}); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := d.About(cart()).Judge(openssl()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

const csaf = `{"document":{"category":"csaf_vex","publisher":{"name":"Example Distribution","namespace":"https://example"},"tracking":{"id":"cve-2026-1","current_release_date":"2026-02-03T00:00:00Z","status":"final"}},
 "product_tree":{"branches":[{"category":"vendor","name":"x","branches":[
   {"category":"product_name","product":{"name":"EL 9","product_id":"el9","product_identification_helper":{"cpe":"cpe:/o:redhat:enterprise_linux:9"}}},
   {"category":"product_version","product":{"name":"openssl","product_id":"openssl","product_identification_helper":{"purl":"pkg:rpm/redhat/openssl"}}},
   {"category":"product_version","product":{"name":"cart","product_id":"cart","product_identification_helper":{"purl":"pkg:oci/cart@` + digest + `"}}}]}],
  "relationships":[{"category":"default_component_of","product_reference":"openssl","relates_to_product_reference":"el9","full_product_name":{"name":"openssl on EL 9","product_id":"el9:openssl"}}]},
 "vulnerabilities":[{"cve":"CVE-2026-1","product_status":{"known_not_affected":["el9:openssl","cart"],"under_investigation":[]},
   "flags":[{"label":"vulnerable_code_not_present","product_ids":["el9:openssl","cart"]}]}]}`

func TestCSAF(t *testing.T) {
	d := &Documents{}
	ignored, err := d.Add([]byte(csaf), "x", []string{"https://example"})
	if err != nil || len(ignored) > 0 {
		t.Fatal(ignored, err)
	}
	m := &touchstone.Match{ID: "CVE-2026-1", Package: touchstone.PackageRef{Name: "openssl", Version: "3.0.7-24.el9", PURL: "pkg:rpm/redhat/openssl@3.0.7-24.el9?arch=x86_64", Ecosystem: "Red Hat:enterprise_linux:9::baseos"}}
	const want = "Example Distribution says that it is not affected: vulnerable_code_not_present (cve-2026-1, 2026-02-03T00:00:00Z)"
	if got, _ := d.About(touchstone.Artifact{}).Judge(m); got != want {
		t.Errorf("a package of the release: %q, want %q", got, want)
	}
	m.Package.Ecosystem = "Red Hat:enterprise_linux:8::baseos"
	if got, ok := d.About(touchstone.Artifact{}).Judge(m); ok {
		t.Errorf("a package of another release: %q", got)
	}
	if _, ok := d.About(cart()).Judge(m); !ok {
		t.Error("the image by its digest is not found")
	}
}

func TestIgnored(t *testing.T) {
	d := &Documents{}
	got, err := d.Add([]byte(openvex(`"x"`, "fixed", "")), "a.json", []string{"Somebody else", ""})
	if err != nil {
		t.Fatal(err)
	}
	want := []Ignored{{Path: "a.json", Author: "Team Pay", Why: "its author is not one of the trusted ones"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = d.Add([]byte(strings.Replace(openvex(`"x"`, "not_affected", ""), "vulnerable_code_not_in_execute_path", "", 1)), "a.json", []string{"Team Pay"})
	if err != nil || len(got) != 1 || !strings.Contains(got[0].Why, "no justification") {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "{}", "[]", `{"@context":"https://openvex.dev/ns"}`, `{"document":{}}`, `{"@context":"openvex","author":"x","statements":7}`} {
		if _, err := d.Add([]byte(bad), "x", nil); err == nil {
			t.Errorf("%q is taken for VEX", bad)
		}
	}
}

func FuzzAdd(f *testing.F) {
	f.Add(openvex(`{"@id":"pkg:deb/debian/openssl","subcomponents":["x"]}`, "not_affected", "2026-02-01T00:00:00Z"))
	f.Add(csaf)
	f.Fuzz(func(t *testing.T, text string) {
		d := &Documents{}
		if _, err := d.Add([]byte(text), "x", []string{"Team Pay", "Example Distribution"}); err == nil {
			d.About(cart()).Judge(openssl())
		}
	})
}

package packages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// TestLanguages reads one installed tree of each language, with lures beside it
// that prove nothing.
func TestLanguages(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []touchstone.Package
	}{
		{
			"npm",
			map[string]string{
				"app/node_modules/express/package.json":                `{"name":"express","version":"4.19.2","license":"MIT"}`,
				"app/node_modules/@babel/core/package.json":            "\xef\xbb\xbf" + `{"name":"@babel/core","version":"v7.24.0","licenses":[{"type":"MIT"},"BSD"],"contributors":"me"}`,
				"app/node_modules/old/package.json":                    `{"name":"old","version":"1.0.0","dependencies":[],"engines":["node"],"license":{"type":"ISC"}}`,
				"app/node_modules/express/lib/package.json":            `{"type":"module"}`,
				"app/node_modules/resolve/test/malformed/package.json": `{"name":`,
				"app/package-lock.json":                                `{"packages":{"node_modules/left-pad":{"version":"1.3.0"}}}`,
				"app/yarn.lock":                                        "left-pad@^1.0.0:\n  version \"1.3.0\"\n",
				"ext/package.json":                                     `{"name":"ext","version":"1.0.0","engines":{"vscode":"^1"}}`,
			},
			[]touchstone.Package{
				{Name: "@babel/core", Version: "7.24.0", PURL: "pkg:npm/%40babel/core@7.24.0", Ecosystem: "npm", Path: "app/node_modules/@babel/core/package.json", Licences: []string{"MIT", "BSD"}},
				{Name: "express", Version: "4.19.2", PURL: "pkg:npm/express@4.19.2", Ecosystem: "npm", Path: "app/node_modules/express/package.json", Licences: []string{"MIT"}},
				{Name: "old", Version: "1.0.0", PURL: "pkg:npm/old@1.0.0", Ecosystem: "npm", Path: "app/node_modules/old/package.json", Licences: []string{"ISC"}},
			},
		},
		{
			"python",
			map[string]string{
				"opt/lib/Flask_Login-0.6.3.dist-info/METADATA":     "Metadata-Version: 2.4\nName: Flask_Login\nVersion: 0.6.3\nLicense-Expression: MIT\nLicense: a long\n  text\n\nName: not this\n",
				"opt/lib/zope.interface-5.egg-info":                "Name: zope.interface\nVersion: 5.0\nLicense: UNKNOWN\n",
				"opt/lib/six-1.16.egg-info/PKG-INFO":               "Name: six\nVersion: 1.16\nLicense: MIT\nName: again\n",
				"opt/lib/pkg.egg/EGG-INFO/PKG-INFO":                "Name: inegg\nVersion: 1.0\n",
				"opt/lib/packed-1.0-py3.egg":                       zipOf(t, "EGG-INFO/PKG-INFO", "Name: packed\nVersion: 1.0\n"),
				"usr/lib/ensurepip/_bundled/pip-23.0-py3.whl":      zipOf(t, "pip-23.0.dist-info/METADATA", "Name: pip\nVersion: 23.0\n"),
				"app/requirements.txt":                             "django==1.0\n",
				"opt/lib/Flask_Login-0.6.3.dist-info/top.METADATA": "Name: x\nVersion: 1\n",
			},
			[]touchstone.Package{
				{Name: "flask-login", Version: "0.6.3", PURL: "pkg:pypi/flask-login@0.6.3", Ecosystem: "PyPI", Path: "opt/lib/Flask_Login-0.6.3.dist-info/METADATA", Licences: []string{"MIT"}},
				{Name: "packed", Version: "1.0", PURL: "pkg:pypi/packed@1.0", Ecosystem: "PyPI", Path: "opt/lib/packed-1.0-py3.egg"},
				{Name: "inegg", Version: "1.0", PURL: "pkg:pypi/inegg@1.0", Ecosystem: "PyPI", Path: "opt/lib/pkg.egg/EGG-INFO/PKG-INFO"},
				{Name: "six", Version: "1.16", PURL: "pkg:pypi/six@1.16", Ecosystem: "PyPI", Path: "opt/lib/six-1.16.egg-info/PKG-INFO", Licences: []string{"MIT"}},
				{Name: "zope-interface", Version: "5.0", PURL: "pkg:pypi/zope-interface@5.0", Ecosystem: "PyPI", Path: "opt/lib/zope.interface-5.egg-info"},
			},
		},
		{
			"conda",
			map[string]string{"opt/conda/conda-meta/openssl-3.0.8-h7f98852_0.json": `{"name":"openssl","version":"3.0.8","build":"h7f98852_0","license":"Apache-2.0","files":["lib/libssl.so"]}`},
			[]touchstone.Package{{Name: "openssl", Version: "3.0.8", PURL: "pkg:conda/openssl@3.0.8?build=h7f98852_0", Path: "opt/conda/conda-meta/openssl-3.0.8-h7f98852_0.json", Licences: []string{"Apache-2.0"}}},
		},
		{
			"ruby",
			map[string]string{
				"usr/local/bundle/specifications/rack-2.2.8.gemspec": "# -*- encoding: utf-8 -*-\nGem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.8\"\nend\n",
				"usr/local/bundle/gems/rack-2.2.8/rack.gemspec":      "require_relative 'lib/rack/version'\nGem::Specification.new do |s|\n  s.name = \"rack\"\n  s.version = Rack::RELEASE\nend\n",
				"app/Gemfile.lock": "GEM\n  specs:\n    rails (1.0)\n",
			},
			[]touchstone.Package{{Name: "rack", Version: "2.2.8", PURL: "pkg:gem/rack@2.2.8", Ecosystem: "RubyGems", Path: "usr/local/bundle/specifications/rack-2.2.8.gemspec"}},
		},
		{
			"gem from a repository, whose version lies beside it",
			map[string]string{
				"b/bundler/gems/thing-0123abc/thing.gemspec":        "require_relative 'lib/thing/version'\nGem::Specification.new do |s|\n  s.name = \"thing\"\n  s.version = Thing::VERSION\nend\n",
				"b/bundler/gems/thing-0123abc/lib/thing/version.rb": "module Thing\n  VERSION = \"3.1.4\"\nend\n",
			},
			[]touchstone.Package{{Name: "thing", Version: "3.1.4", PURL: "pkg:gem/thing@3.1.4", Ecosystem: "RubyGems", Path: "b/bundler/gems/thing-0123abc/thing.gemspec"}},
		},
		{
			"php",
			map[string]string{
				"app/vendor/composer/installed.json": `{"packages":[{"name":"monolog/monolog","version":"2.9.1","license":["MIT"]}],"dev":false}`,
				"old/vendor/composer/installed.json": `[{"name":"twig/twig","version":"v1.0.0"}]`,
				"app/composer.lock":                  `{"packages":[{"name":"a/b","version":"1.0"}]}`,
			},
			[]touchstone.Package{
				{Name: "monolog/monolog", Version: "2.9.1", PURL: "pkg:composer/monolog/monolog@2.9.1", Ecosystem: "Packagist", Path: "app/vendor/composer/installed.json", Licences: []string{"MIT"}},
				{Name: "twig/twig", Version: "v1.0.0", PURL: "pkg:composer/twig/twig@v1.0.0", Ecosystem: "Packagist", Path: "old/vendor/composer/installed.json"},
			},
		},
		{
			".NET",
			map[string]string{
				"app/shop.deps.json":      `{"runtimeTarget":{},"libraries":{"shop/1.0.0":{"type":"project"},"Newtonsoft.Json/13.0.1":{"type":"package"}}}`,
				"app/Newtonsoft.Json.dll": string(assembly("Newtonsoft.Json.dll", "13.0.3+0a2e291c0d9c0c7675d445703e51750363a549ef")),
				"app/native.exe":          string(assembly("", "")),
				"web/editor.deps.json":    `["wp-element"]`,
				"app/notes":               "MZ is not a program",
			},
			[]touchstone.Package{
				{Name: "Newtonsoft.Json", Version: "13.0.3", PURL: "pkg:nuget/Newtonsoft.Json@13.0.3", Ecosystem: "NuGet", Path: "app/Newtonsoft.Json.dll"},
				{Name: "Newtonsoft.Json", Version: "13.0.1", PURL: "pkg:nuget/Newtonsoft.Json@13.0.1", Ecosystem: "NuGet", Path: "app/shop.deps.json"},
			},
		},
		{
			"R",
			map[string]string{
				"usr/local/lib/R/site-library/jsonlite/DESCRIPTION": "Package: jsonlite\nVersion: 1.8.8\nLicense: MIT + file LICENSE\nBuilt: R 4.3.2\n",
				"usr/local/lib/R/library/limma/DESCRIPTION":         "Package: limma\nbiocViews: ExonArray\nVersion: 3.58.1\nBuilt: R 4.3.2\n",
				"src/library/mine/DESCRIPTION":                      "Package: mine\nVersion: 0.1\n",
			},
			[]touchstone.Package{
				{Name: "limma", Version: "3.58.1", PURL: "pkg:bioconductor/limma@3.58.1", Ecosystem: "Bioconductor", Path: "usr/local/lib/R/library/limma/DESCRIPTION"},
				{Name: "jsonlite", Version: "1.8.8", PURL: "pkg:cran/jsonlite@1.8.8", Ecosystem: "CRAN", Path: "usr/local/lib/R/site-library/jsonlite/DESCRIPTION", Licences: []string{"MIT + file LICENSE"}},
			},
		},
		{
			"Rust",
			map[string]string{"usr/bin/tool": string(auditable(t, `{"packages":[{"name":"cc","version":"1.0.83","kind":"build"},{"name":"serde","version":"1.0.190"},{"name":"tool","version":"0.1.0","root":true}]}`))},
			[]touchstone.Package{
				{Name: "serde", Version: "1.0.190", PURL: "pkg:cargo/serde@1.0.190", Ecosystem: "crates.io", Path: "usr/bin/tool"},
				{Name: "tool", Version: "0.1.0", PURL: "pkg:cargo/tool@0.1.0", Ecosystem: "crates.io", Path: "usr/bin/tool"},
			},
		},
		{
			"WordPress",
			map[string]string{"var/www/wp-content/plugins/akismet/akismet.php": "<?php\n/*\nPlugin Name: Akismet\nVersion: 5.3\n*/\n", "var/www/wp-content/plugins/akismet/class.php": "<?php\n"},
			[]touchstone.Package{{Name: "Akismet", Version: "5.3", PURL: "pkg:wordpress/Akismet@5.3", Path: "var/www/wp-content/plugins/akismet/akismet.php"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := readTree(t, treeOf(test.files))
			if diff := cmp.Diff(test.want, got.Packages); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if len(got.Gaps) > 0 {
				t.Errorf("%+v", got.Gaps)
			}
		})
	}
}

// TestWhatCannotBeReadIsAGap gives each reader something that it must not pass
// over in silence.
func TestWhatCannotBeReadIsAGap(t *testing.T) {
	for path, content := range map[string]string{
		"a/node_modules/x/package.json":    `{"name":`,
		"a/node_modules/@s/x/package.json": `]`,
		"var/lib/dpkg/status":              "Package: a\nStatus: install ok installed\n\n",
		"var/lib/dpkg/status.d/x":          "no field here\n",
		"lib/apk/db/installed":             "P:a\n\n",
		"usr/lib/apk/db/installed":         "garbage\n",
		"var/lib/rpm/Packages":             "garbage",
		"p/x.dist-info/METADATA":           "Name: a\n\n",
		"p/x.egg-info":                     "garbage\n",
		"p/x.egg":                          "PK\x03\x04",
		"c/conda-meta/x.json":              `{}`,
		"v/composer/installed.json":        `{"packages":[{"name":"a"}]}`,
		"v/vendor/composer/installed.json": `nonsense`,
		"g/specifications/x.gemspec":       "\x04\x08marshalled",
		"opt/app.jar":                      "not an archive",
		"var/lib/chisel/manifest.wall":     "not zstd",
		"var/lib/pacman/local/x-1/desc":    "%NAME%\n",
		"var/db/pkg/cat/x-1/PF":            "",
		"lib/x.dll":                        "MZ\x00\x00\x00\x00\x00\x00 no more",
		"lib/R/library/x/DESCRIPTION":      "Package: x\nBuilt: R 4\n",
		"usr/bin/rusty":                    string(auditable(t, `{"packages":3}`)),
	} {
		got := readOne(t, path, []byte(content))
		if len(got.Gaps) == 0 || len(got.Packages) > 0 {
			t.Errorf("%s: packages %v, gaps %v", path, got.Packages, got.Gaps)
		}
		for _, g := range got.Gaps {
			if g.Path != path || g.Reader == "" || g.Reason == "" || g.Kind == "" {
				t.Errorf("%+v", g)
			}
		}
	}
}

func TestCratesBomb(t *testing.T) {
	got := readOne(t, "usr/bin/x", auditable(t, strings.Repeat(" ", maxCrates+2)))
	if len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapLimit {
		t.Errorf("%+v", got.Gaps)
	}
}

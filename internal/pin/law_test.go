package pin

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestLaws puts files together from pieces that people write, and pieces that
// they should not, and holds Fix to its promises on each.
func TestLaws(t *testing.T) {
	v := built()
	packages := []string{"curl", "git", "nginx=1.22.1-9", "nginx", `"tzdata"`, "'libc6'", "$PKG", "${LIST}", "ca-certificates \\\n  # why\n  curl", "evil", "no\\\nne"}
	python := []string{"requests", `"requests[socks]>=2"`, "requests==2.*", "uvicorn~=0.3", "-r requirements.txt", "foo==$V", "$PKG", "ruamel.yaml", "."}
	images := []string{"debian:12", "python", "${BASE}", "alpine:$TAG", "node:${TAG}-slim", "gone:1", "${X:-busybox}", "scratch", "a@sha256:" + strings.Repeat("a", 64)}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		pick := func(from []string, name string) string { return rapid.SampledFrom(from).Draw(t, name) }
		some := func(from []string, name string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), 1, 4).Draw(t, name), " ")
		}
		b.WriteString(pick([]string{"", "\xEF\xBB\xBF", "# syntax=docker/dockerfile:1\n", "# escape=\\\n"}, "head"))
		b.WriteString("ARG BASE=debian:12\nARG TAG=3\n")
		for range rapid.IntRange(1, 3).Draw(t, "stages") {
			b.WriteString("FROM " + pick(images, "image") + pick([]string{"", " AS x", "\t as  y"}, "as") + "\n")
			b.WriteString(pick([]string{"", "ARG PKG=curl\n", "ENV PKG=git LIST=\"curl git\"\n", "ARG TAG\n"}, "set"))
			for range rapid.IntRange(0, 4).Draw(t, "runs") {
				command := pick([]string{"apt-get install -y ", "apt-get -qq install ", "apk add --no-cache ", "dnf install -y "}, "tool") + some(packages, "packages")
				if rapid.Bool().Draw(t, "python") {
					command = pick([]string{"pip install ", "python3 -m pip install -U ", "uv pip install "}, "pip") + some(python, "requirements")
				}
				form := pick([]string{"RUN %\n", "RUN set -e; % && true\n", "RUN sh -c '%'\n", "RUN <<E\n%\nE\n", "RUN if x; then %; fi\n", "ONBUILD RUN %\n", "run\t%\r\n", "RUN [\"%\"]\n", "RUN for p in 1; do %; done\n", "COPY --from=busybox:1 /a /%\n"}, "form")
				b.WriteString(strings.ReplaceAll(form, "%", command))
			}
		}
		holds(t, []byte(b.String()), v)
	})
}

package pin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistory(t *testing.T) {
	tests := []struct {
		name    string
		history []string
		want    []string // Where, Tool and What
	}{
		{"none", nil, nil},
		{
			"docker's own", []string{
				"/bin/sh -c #(nop) ADD file:0123 in / ",
				`/bin/sh -c #(nop)  CMD ["bash"]`,
				"/bin/sh -c #(nop)  ENV VERSION=1.0",
				"/bin/sh -c apt-get update && apt-get install -y curl git=1:2.39.2-1.1 app=${VERSION}",
				"|2 NODE=20 TEXT=two words /bin/sh -c curl -fsSL https://deb.example/setup_${NODE}.x | bash - && apt-get install -y nodejs",
			},
			[]string{"history 3 apt curl", "history 4 apt nodejs", "history 4 curl-pipe https://deb.example/setup_20.x"},
		},
		{
			"buildkit", []string{
				"ENV GET_PIP=https://example.com/get-pip.py",
				"ENV SUM=6fb7b781206356f45ad79efbb19322caa6c2a5ad39092d0d44d0fec94117e118",
				`RUN /bin/sh -c set -eux; 	wget -O get-pip.py "$GET_PIP"; 	echo "$SUM *get-pip.py" | sha256sum -c -; 	python get-pip.py "pip==24.0" # buildkit`,
				"RUN |2 A=x y B=z /bin/bash -o pipefail -c pip install app==${B} other==${A%% *} requests # buildkit",
				"RUN npm install -g yarn # buildkit",
				"RUN /bin/sh -c apt-get update\napt-get install -y nginx\n # buildkit",
				"COPY /app /app # buildkit",
				"ADD https://example.com/file /file # buildkit",
				"ADD https://example.com/a.git#main /src # buildkit",
				"ADD https://example.com/a.git#0123456789012345678901234567890123456789 /src # buildkit",
				`CMD ["apt-get" "install" "curl"]`,
				"HEALTHCHECK &{[\"CMD-SHELL\" \"curl http://example.com | sh\"] \"0s\"}",
			},
			[]string{"history 3 pip requests", "history 4 npm yarn", "history 5 apt nginx", "history 8 add https://example.com/a.git#main"},
		},
		{
			"a checksum in a later step", []string{
				"RUN /bin/sh -c curl -o /x https://example.com/x # buildkit",
				"RUN /bin/sh -c echo 6fb7b781206356f45ad79efbb19322caa6c2a5ad39092d0d44d0fec94117e118 /x | sha256sum -c # buildkit",
				"RUN /bin/sh -c curl -o /y https://example.com/y # buildkit",
			},
			[]string{"history 2 curl https://example.com/y"},
		},
		{
			"free text", []string{
				"# debian.sh --arch 'amd64' out/ 'bookworm' '@1719792000'",
				"mmdebstrap --variant=minbase bookworm", "Buildpacks Launcher Config", "ko build ko://example.com/x",
				"bazel build ...", "apt-get install curl", "",
			},
			nil,
		},
		{
			"unread", []string{
				"/bin/sh -c if [ x; then", "cmd /S /C choco install x", "powershell -Command Install-Thing",
				"RUN powershell -Command Install-Thing # buildkit", "RUN \x00\x01 apt-get install -y curl",
			},
			[]string{"history 4 apt curl", "history 0 unread a build step", "history 1 unread a build step", "history 2 unread a build step", "history 3 unread a build step"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range History(tt.history) {
				got = append(got, fmt.Sprintf("%s %s %s", p.Where, p.Tool, p.What))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("History (-want +got):\n%s", diff)
			}
		})
	}
}

// A long history costs no more than its budget.
func TestHistoryBounded(t *testing.T) {
	long := make([]string, 0, 2001)
	long = append(long, "ENV A="+strings.Repeat("x ", 30000))
	for range 2000 {
		long = append(long, "RUN /bin/sh -c pip install $A # buildkit", "|1 "+strings.Repeat("A=b ", 100)+"/bin/sh -c x")
	}
	pins := History(long)
	if len(pins) == 0 || len(pins) > mostPins+100 {
		t.Errorf("%d pins", len(pins))
	}
}

package secrets

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

const password = "Tr0ub4dor" + "-3x"

// hidden returns what is shown in place of a value.
func hidden(value string) string {
	return "***[" + Fingerprint([]byte("key"), []byte(value)) + "]"
}

func TestEnvironment(t *testing.T) {
	tests := []struct {
		env   string
		kind  string // "" when it is no secret
		value string // what is replaced
	}{
		{"PATH=/usr/bin:/bin", "", ""},
		{"DB_PASSWORD=" + password, "password", password},
		{"PGPASSWORD=" + password, "password", password},
		{"db_pass=" + password, "password", password},
		{"MYSQL_PWD=" + password, "password", password},
		{"POSTGRES_PASSWORD=postgres", "password", "postgres"},
		{"STRIPE_API_KEY=" + password, "password", password},
		{"AWS_SECRET_ACCESS_KEY=" + password, "password", password},
		{"SECRET_KEY_BASE=" + password, "password", password},
		{"ANYTHING=" + signed("gh"+"p_", 36), "github-token", signed("gh"+"p_", 36)},
		{"GITHUB_TOKEN=" + signed("gh"+"p_", 36), "github-token", signed("gh"+"p_", 36)},
		{"DATABASE_URL=postgres://app:" + password + "@db/app", "url-credentials", password},
		{"JAVA_OPTS=-Xmx1g -Dkeystore.password=" + password + " -Dx=y", "password", password},
		{"PWD=/app/" + password, "", ""},
		{"OLDPWD=" + password, "", ""},
		{"GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", "", ""}, // python's own images
		{"AWS_ACCESS_KEY_ID=abc", "", ""},
		{"DB_PASSWORD_FILE=/run/secrets/db", "", ""},
		{"DB_PASSWORD=/run/secrets/db", "", ""},
		{"TOKEN_URL=https://example.org/token", "", ""},
		{"OAUTH_TOKEN=https://example.org/token", "", ""},
		{"ACCESS_TOKEN=3600", "", ""},
		{"ALLOW_EMPTY_PASSWORD=yes", "", ""},
		{"DB_PASSWORD=", "", ""},
		{"DB_PASSWORD=changeme", "", ""},
		{"DB_PASSWORD=${PASSWORD}", "", ""},
		{"DB_PASSWORD=$PASSWORD", "", ""},
		{"API_KEY=xxxxxxxxxxxx", "", ""},
		{"API_KEY=<your-api-key>", "", ""},
		{"API_KEY={{ .Values.key }}", "", ""},
		{"NEXT_PUBLIC_API_KEY=" + password, "", ""},
		{"SSH_PUBLIC_KEY=" + password, "", ""},
		{"NO_EQUALS_SIGN", "", ""},
	}
	for _, tt := range tests {
		shown, found := Environment([]string{tt.env}, []byte("key"))
		if got := strings.Join(kinds(found), " "); got != tt.kind {
			t.Errorf("%s: found %q, want %q", tt.env, got, tt.kind)
		}
		want := tt.env
		if tt.kind != "" {
			want = strings.Replace(want, tt.value, hidden(tt.value), 1)
			name, _, _ := strings.Cut(tt.env, "=")
			if found[0].Path != "config: env "+name || found[0].Layer != -1 {
				t.Errorf("%s: %+v", tt.env, found[0])
			}
		}
		if diff := cmp.Diff([]string{want}, shown); diff != "" {
			t.Errorf("%s: %s", tt.env, diff)
		}
	}
}

func TestHistory(t *testing.T) {
	tests := []struct {
		text   string
		secret bool // the password in it
	}{
		{"/bin/sh -c #(nop) ENV DB_PASSWORD=" + password, true},
		{"ENV DB_PASSWORD=" + password, true},
		{"ARG NPM_TOKEN=" + password, true},
		{"ARG NPM_TOKEN", false},
		{"RUN /bin/sh -c export A_TOKEN=" + password + "; make", true},
		{"RUN /bin/sh -c A_TOKEN=" + password + "&& make", true},
		{"RUN |2 NPM_TOKEN=" + password + " NODE_ENV=production /bin/sh -c npm ci # buildkit", true},
		{"|1 TOKEN=" + password + " /bin/sh -c make", true},
		{`RUN /bin/sh -c export API_KEY="` + password + `" && make`, true},
		{"RUN /bin/sh -c curl -u me:" + password + " https://example.org/x | tar x", true},
		{"RUN /bin/sh -c curl -fsSL --user 'me:" + password + "' https://example.org", true},
		{"RUN /bin/sh -c curl -u me:$PASSWORD https://example.org", false},
		{"RUN /bin/sh -c useradd -u 1000:1000 app", false},
		{"RUN /bin/sh -c curl -H 'Authorization: Bearer " + password + "' https://example.org", true},
		{`RUN /bin/sh -c curl -H "Authorization: Bearer ${TOKEN}" https://example.org`, false},
		{`RUN /bin/sh -c curl -H "PRIVATE-TOKEN: ` + password + `" https://example.org`, true},
		{"RUN /bin/sh -c git clone https://me:" + password + "@example.org/a.git", true},
		{"RUN /bin/sh -c git clone https://example.org/a.git", false},
		{"RUN /bin/sh -c docker login -u me -p " + password + " example.org", true},
		{"RUN /bin/sh -c docker login -u me --password-stdin example.org < /run/secrets/x", false},
		{"RUN /bin/sh -c tool --password " + password, true},
		{"RUN /bin/sh -c tool --password=" + password, true},
		{"RUN /bin/sh -c tool --password=$(cat /run/secrets/x)", false},
		{"RUN --mount=type=secret,id=npm,target=/root/.npmrc npm ci", false},
		{"RUN /bin/sh -c mkdir -p " + password, false},
		{"RUN /bin/sh -c sshpass -p " + password + " ssh me@example.org", true},
		{"RUN /bin/sh -c echo 'root:" + password + "' | chpasswd", true},
		{"RUN /bin/sh -c echo \"me:$PW\" | chpasswd", false},
		{"RUN /bin/sh -c passwd -d root", false},
		{"COPY file:abc in /etc/token", false},
		{"", false},
	}
	for _, tt := range tests {
		shown, found := History([]string{"FROM x", tt.text}, []byte("key"))
		want := tt.text
		if tt.secret {
			want = strings.Replace(want, password, hidden(password), 1)
		}
		if (len(found) > 0) != tt.secret {
			t.Errorf("%s: found %v", tt.text, found)
		} else if tt.secret && (len(found) != 1 || found[0].Path != "config: history 2" || found[0].Layer != -1) {
			t.Errorf("%s: %+v", tt.text, found)
		}
		if diff := cmp.Diff([]string{"FROM x", want}, shown); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRedact(t *testing.T) {
	key := pemOf("PRIVATE"+" KEY", pkcs8(t))
	cfg := touchstone.Configuration{
		Environment: []string{"DB_PASSWORD=" + password, "A=" + password + "!", "TLS=" + key},
		Entrypoint:  []string{"app", "--token", "0ther" + "-token"},
		Command:     []string{"--dsn=postgres://a:" + password + "@db"},
		Labels:      map[string]string{"note": "the password is " + password},
		History:     []string{"ENV DB_PASSWORD=" + password, "RUN |1 KEY=" + key + " make"},
		User:        "app",
	}
	before, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got, found := Redact(cfg, []byte("key"))
	shown, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{password, "0ther" + "-token", strings.Split(key, "\n")[1]} {
		if strings.Contains(string(shown), secret) {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
	if diff := cmp.Diff([]string{"password", "private-key", "password"}, kinds(found)); diff != "" {
		t.Error(diff)
	}
	after, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if string(after) != string(before) {
		t.Error("the configuration that was given was changed")
	}
	if got.User != "app" || got.Entrypoint[0] != "app" || !slices.Contains(got.Environment, "DB_PASSWORD="+hidden(password)) {
		t.Errorf("%+v", got)
	}
}

// A value of an environment may hold what would end it in a shell.
func TestHistoryOperators(t *testing.T) {
	shown, found := History([]string{"ENV A_TOKEN=ab&cd;ef|(gh B=c"}, []byte("key"))
	if want := "ENV A_TOKEN=" + hidden("ab&cd;ef|(gh") + " B=c"; len(found) != 1 || shown[0] != want {
		t.Errorf("shown %q, want %q", shown[0], want)
	}
}

// A value that was recognised as a secret is nowhere in what is shown.
func FuzzHistory(f *testing.F) {
	for _, s := range []string{"ENV A_TOKEN=abcdefg", "curl -u a:bcdefg x", "--password 'a b'", "x://a:b@c", "A_PASSWORD=\"x", "=", "--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown, found := History([]string{s}, []byte("key"))
		if len(shown) != 1 || len(found) == 0 && shown[0] != s || len(found) > 0 && shown[0] == s {
			t.Errorf("%q is shown as %q with %d secrets", s, shown, len(found))
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	cfg := touchstone.Configuration{
		Environment: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "DB_PASSWORD=" + password},
		History:     slices.Repeat([]string{"RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends curl ca-certificates && rm -rf /var/lib/apt/lists/*"}, 20),
	}
	for b.Loop() {
		Redact(cfg, []byte("key"))
	}
}

package secrets

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// Samples are put together while the test runs, so that no file of the project
// holds anything that looks like a secret.

// letters returns n characters of the alphabet that look random and are always
// the same.
func letters(n int, alphabet string) string {
	b := make([]byte, n)
	state := uint32(n)*2654435761 + 12345
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = alphabet[int(state>>8)%len(alphabet)]
	}
	return string(b)
}

const (
	hexDigits = "0123456789abcdef"
	alnum     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func token(parts ...string) string { return strings.Join(parts, "") }

// signed returns a token of GitHub's form, with its checksum.
func signed(prefix string, n int) string {
	body := letters(n-6, alnum)
	return prefix + body + string(base62(crc32.ChecksumIEEE([]byte(body))))
}

func kinds(found []touchstone.Secret) []string {
	var k []string
	for _, s := range found {
		k = append(k, s.Kind)
	}
	return k
}

// The published example of GitHub's checksum, without its prefix: the algorithm
// is the real one.
func TestBase62(t *testing.T) {
	const example = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17"
	if got := string(base62(crc32.ChecksumIEEE([]byte(example[:30])))); got != example[30:] {
		t.Errorf("got %s, want %s", got, example[30:])
	}
}

func TestScanTokens(t *testing.T) {
	github := signed("gh"+"p_", 36)
	awsID, awsSecret := token("AK", "IA", letters(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")), letters(40, alnum+"+/")
	tests := []struct {
		name, text string
		want       string // "" when there is none
	}{
		{"github", "token: " + github, "github-token"},
		{"github in code", `auth("` + github + `");`, "github-token"},
		{"github behind an escaped line break", `"a\n` + github + `"`, "github-token"},
		{"github, checksum wrong", github[:len(github)-1] + "_", ""},
		{"github, one digit changed", "gh" + "p_" + strings.Repeat("a", 36), ""},
		{"github within a word", "x" + github, ""},
		{"github, longer", github + "a", ""},
		{"github refresh", signed("gh"+"r_", 76), "github-token"},
		{"github fine-grained", token("github", "_pat_", letters(22, alnum), "_", letters(59, alnum)), "github-token"},
		{"npm", signed("np"+"m_", 36), "npm-token"},
		{"npm's settings", "npm_config_registry=https://registry.example/npm_lifecycle_event_script_name_of_all", ""},
		{"aws with its secret", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", awsID, awsSecret), "aws-access-key"},
		{"aws identifier alone", "aws_access_key_id = " + awsID, ""},
		{"aws beside a hash", fmt.Sprintf("id %s secret? sha1 %s", awsID, letters(40, hexDigits)), ""},
		{"aws, the documented example", fmt.Sprintf("%s secret %s", "AK"+"IAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"+"EXAMPLEKEY"), ""},
		{"gitlab", token("gl", "pat-", letters(20, alnum)), "gitlab-token"},
		{"gitlab at the end of a sentence", token("gl", "pat-", letters(20, alnum), "."), "gitlab-token"},
		{"gitlab, a sample", "gl" + "pat-" + strings.Repeat("x", 20), ""},
		{"pypi", token("pypi-", "AgEIcHlwaS5vcmc", letters(120, alnum)), "pypi-token"},
		{"slack bot", token("xo", "xb-", "417823955012-", "417823955013-", letters(24, alnum)), "slack-token"},
		{"slack, a sample", "xo" + "xb-your-token-goes-here-and-nowhere-else-at-all", ""},
		{"slack webhook", token("https://hooks.sl", "ack.com/services/T", letters(10, alnum), "/B", letters(9, alnum), "/", letters(24, alnum)), "slack-webhook"},
		{"stripe", token("sk_", "live_", letters(24, alnum)), "stripe-key"},
		{"stripe, test mode", token("sk_", "test_", letters(24, alnum)), ""},
		{"google", token("AI", "za", letters(35, alnum)), "google-api-key"},
		{"google, longer", token("AI", "za", letters(36, alnum)), ""},
		{"sendgrid", token("S", "G.", letters(22, alnum), ".", letters(43, alnum)), "sendgrid-key"},
		{"openai", token("sk-", "proj-", letters(40, alnum), "T3Blbk", "FJ", letters(40, alnum)), "openai-key"},
		{"anthropic", token("sk-", "ant-api03-", letters(93, alnum), "AA"), "anthropic-key"},
		{"huggingface", token("h", "f_", letters(34, alnum)), "huggingface-token"},
		{"digitalocean", token("do", "p_v1_", letters(64, hexDigits)), "digitalocean-token"},
		{"vault", token("hv", "s.", letters(95, alnum)), "vault-token"},
		{"docker hub", token("dc", "kr_pat_", letters(27, alnum)), "docker-hub-token"},
		{"terraform", token(letters(14, alnum), ".atlas", "v1.", letters(67, alnum)), "terraform-token"},
		{"age", token("AGE-SECRET", "-KEY-1", letters(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")), "age-key"},
		{"azure", token("DefaultEndpointsProtocol=https;AccountName=a;Account", "Key=", letters(86, alnum+"+/"), "==;EndpointSuffix=x"), "azure-storage-key"},
		{"azure, too short", token("Account", "Key=", letters(40, alnum), "=="), ""},
		{"nothing", "The quick brown fox\n", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		// Whatever the offset, the filter must not step over the secret.
		for offset := range 4 {
			found := Scan("app/settings.txt", []byte(strings.Repeat("#", offset)+"\n"+tt.text), []byte("key"))
			if got := strings.Join(kinds(found), " "); got != tt.want {
				t.Errorf("%s, behind %d bytes: found %q, want %q", tt.name, offset, got, tt.want)
			}
			if tt.want != "" && len(found) == 1 && found[0].Line < 2 {
				t.Errorf("%s: line %d", tt.name, found[0].Line)
			}
		}
	}
}

// Every form in the table is found by its own anchor: no probe was mistyped.
func TestForms(t *testing.T) {
	for _, f := range formTable() {
		seen := false
		text := []byte("x " + f.anchor + "abc")
		theFilter().each(text, func(got *form, at int) { seen = seen || got.anchor == f.anchor && at == 2 })
		if !seen || f.kind == "" || f.find == nil {
			t.Errorf("form %q is not found", f.anchor)
		}
	}
}

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkcs8(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestScanKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	const private = "PRIVATE" + " KEY"
	rsaPEM := pemOf("RSA "+private, x509.MarshalPKCS1PrivateKey(rsaKey))
	edPEM := pemOf(private, pkcs8(t))
	openSSH := func(cipher string) string {
		return pemOf("OPENSSH "+private, append([]byte("openssh-key-v1\x00\x00\x00\x00"+string(rune(len(cipher)))+cipher), letters(200, alnum)...))
	}
	inJSON, err := json.Marshal(map[string]string{"type": "service_account", "private_key": edPEM})
	if err != nil {
		t.Fatal(err)
	}
	pgp := "-----BEGIN PGP " + private + " BLOCK-----\nVersion: x\n\n" + base64.StdEncoding.EncodeToString(append([]byte{0x95}, letters(300, alnum)...)) + "\n=abcd\n-----END PGP " + private + " BLOCK-----\n"
	tests := []struct {
		name, path, text string
		want             string
	}{
		{"RSA", "app/key.pem", rsaPEM, "private-key"},
		{"EC", "app/key.pem", pemOf("EC "+private, ec), "private-key"},
		{"PKCS 8", "app/key.pem", edPEM, "private-key"},
		{"OpenSSH", "root/.ssh/id_ed25519", openSSH("none"), "private-key"},
		{"OpenSSH with a passphrase", "root/.ssh/id_ed25519", openSSH("aes256-ctr"), "encrypted-private-key"},
		{"host key", "etc/ssh/ssh_host_rsa_key", openSSH("none"), "ssh-host-key"},
		{"PKCS 8 with a passphrase", "app/key.pem", pemOf("ENCRYPTED "+private, pkcs8(t)), "encrypted-private-key"},
		{"enciphered as of old", "app/key.pem", strings.Replace(rsaPEM, "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123\n\n", 1), "encrypted-private-key"},
		{"PGP", "app/key.asc", pgp, "pgp-private-key"},
		{"Windows line ends", "app/key.pem", strings.ReplaceAll(rsaPEM, "\n", "\r\n"), "private-key"},
		{"service account", "app/account.json", string(inJSON), "gcp-service-account"},
		{"in source code", "app/main.js", `const k = "` + strings.ReplaceAll(strings.TrimSpace(rsaPEM), "\n", "\\n\" +\n  \"") + `";`, "private-key"},
		{"in a Kubernetes secret", "app/secret.yaml", "data:\n  tls.key: " + base64.StdEncoding.EncodeToString([]byte(rsaPEM)) + "\n", "private-key"},
		{"certificate", "etc/ssl/cert.pem", pemOf("CERTIFICATE", pkcs8(t)), ""},
		{"certificate in base64", "app/secret.yaml", base64.StdEncoding.EncodeToString([]byte(pemOf("CERTIFICATE", pkcs8(t)))), ""},
		{"public key", "app/key.pub", pemOf("PUBLIC KEY", pkcs8(t)), ""},
		{"the words alone", "app/main.js", `if (s.startsWith("-----BEGIN ` + private + `-----") && s.endsWith("-----END ` + private + `-----"))`, ""},
		{"a sample", "app/README", "-----BEGIN " + private + "-----\nMIIEvQIBADANBg...\n-----END " + private + "-----", ""},
		{"words in base64", "app/README", "-----BEGIN " + private + "-----\n" + strings.Repeat("putyourkeyhere", 10) + "\n-----END " + private + "-----", ""},
		{"cut off", "app/key.pem", rsaPEM[:200], ""},
		{"in a library's tests", "app/node_modules/tls/test/fixtures/key.pem", rsaPEM, ""},
		{"in a library's tests, by its name", "root/go/pkg/mod/example.org/x@v1/key_test.go", rsaPEM, ""},
		{"in a library's description", "app/node_modules/tls/README.md", rsaPEM, ""},
		{"in Python's tests", "usr/local/lib/python3.12/test/certdata/key.pem", rsaPEM, ""},
		{"in a library", "app/node_modules/ours/config/key.pem", rsaPEM, "private-key"},
		{"in the application's tests", "usr/src/app/test/key.pem", rsaPEM, "private-key"},
	}
	prints := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := Scan(tt.path, []byte(tt.text), []byte("key"))
			if got := strings.Join(kinds(found), " "); got != tt.want {
				t.Fatalf("found %q, want %q", got, tt.want)
			}
			if tt.want == "private-key" && strings.Contains(tt.text, "RSA ") {
				prints[found[0].Fingerprint] = true
			}
		})
	}
	if len(prints) != 1 {
		t.Errorf("one key has %d fingerprints, by how it is written", len(prints))
	}
}

func TestScanPlaces(t *testing.T) {
	const good = "Tr0ub4dor" + "&3"
	basic := base64.StdEncoding.EncodeToString([]byte("me:" + good))
	hash := "$6$" + letters(8, alnum) + "$" + letters(86, alnum)
	tests := []struct {
		name, text string
		want       string // kind:line
	}{
		{"etc/shadow", "root:*:1:0:::::\ndaemon:!:1::::::\napp:" + hash + ":19000::::::\nx:!!:1::::::\ny::1::::::\n", "password-hash:3"},
		{"etc/shadow", "root:!" + hash + ":1:0:::::\nbin:x:1\n", ""},
		{"etc/shadow-", "old:" + "abJnggxhB" + "/yWI:1:0:::::\n", "password-hash:1"},
		{"etc/passwd", "app:" + hash + ":1:0:::::\n", ""},
		{"srv/.htpasswd", "me:$apr1$" + letters(8, alnum) + "$" + letters(22, alnum) + "\n", "password-hash:1"},
		{"root/.netrc", "machine example.org\n  login me\n  password " + good + "\n", "password:3"},
		{"root/.netrc", "machine example.org login me password ${PASSWORD}\n", ""},
		{"etc/apt/auth.conf.d/x", "machine example.org login me password " + good, "password:1"},
		{"root/.pgpass", "# hosts\ndb:5432:*:me:" + good + "\n*:*:*:*:password\n", "password:2"},
		{"root/.pgpass", `d\:b:5432:*:me:` + good + "\n", "password:1"},
		{"root/.git-credentials", "https://me:" + good + "@example.org\n", "url-credentials:1"},
		{"app/.git/config", "[remote]\n\turl = https://oauth2:" + good + "@example.org/a.git\n", "url-credentials:2"},
		{"app/.git/config", "[remote]\n\turl = https://user@example.org/a.git\n", ""},
		{"etc/pip.conf", "index-url = https://me:${PIP_PASSWORD}@example.org/simple\n", ""},
		{"root/.docker/config.json", `{"auths": {"example.org": {"auth": "` + basic + `"}}}`, "registry-credentials:1"},
		{"root/.docker/config.json", `{"auths": {"example.org": {}}, "credsStore": "pass"}`, ""},
		{"root/.npmrc", "registry=https://example.org/\n//example.org/:_authToken=" + letters(36, hexDigits) + "\n", "npm-credentials:2"},
		{"root/.npmrc", "//example.org/:_authToken=${NPM_TOKEN}\n", ""},
		{"root/.pypirc", "[pypi]\nusername: me\npassword: " + good + "\n", "pypi-credentials:3"},
		{"root/.my.cnf", "[client]\npassword=\"" + good + "\"\n", "mysql-credentials:2"},
		{"root/.kube/config", "users:\n- user:\n    token: " + letters(40, alnum) + "\n", "kubernetes-credentials:3"},
		{"root/.cargo/credentials.toml", "[registry]\ntoken = \"" + letters(36, alnum) + "\"\n", "registry-credentials:2"},
		{"app/.env", "# settings\nexport DB_PASSWORD=" + good + "\nDEBUG=true\nTOKEN_TTL=3600\nSECRET_FILE=/run/secrets/x\n", "password:2"},
		{"app/.env.example", "DB_PASSWORD=" + good + "\n", ""},
		{"app/.env", "DB_PASSWORD=changeme\nAPI_KEY=<your key>\nSECRET=\nTOKEN=$OTHER\nJWT_SECRET=xxxxxxxx\n", ""},
		{"app/settings.ini", "password=" + good + "\n", ""}, // not a known place: a word is not enough
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, s := range Scan(tt.name, []byte(tt.text), []byte("key")) {
				got = append(got, fmt.Sprintf("%s:%d", s.Kind, s.Line))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s\n%s", tt.text, diff)
			}
		})
	}
}

func TestScanOnce(t *testing.T) {
	one := signed("gh"+"p_", 36)
	text := strings.Repeat(one+"\n", 1000)
	found := Scan("app/x", []byte(text), []byte("key"))
	want := []touchstone.Secret{{Kind: "github-token", Path: "app/x", Line: 1, Fingerprint: Fingerprint([]byte("key"), []byte(one))}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if Fingerprint([]byte("key"), []byte(one)) == Fingerprint([]byte("other"), []byte(one)) {
		t.Error("the fingerprint does not depend on the key")
	}
}

func TestWants(t *testing.T) {
	text := []byte("some text that is long enough to hold something\n")
	tests := []struct {
		name string
		head []byte
		want bool
	}{
		{"app/main.js", text, true},
		{"app/main.js", nil, false},
		{"app/short", []byte("short"), false},
		{"root/.pgpass", []byte("*:*:*:*:x"), true},
		{"usr/bin/ls", []byte("\x7fELF\x02\x01\x01\x00"), false},
		{"app/x.pdf", []byte("%PDF-1.7 and more text, so that it is long enough"), false},
		{"app/x.gz", []byte("\x1f\x8b\x08 and more text, so that it is long enough"), false},
		{"app/latin1", []byte("text with \xe9, in an encoding of old; long enough"), true},
		{"usr/share/doc/openssl/key.txt", text, false},
		{"usr/share/app/key.txt", text, true},
		{"usr/local/share/doc/key.txt", text, true},
		{"usr/local/go/src/crypto/x509/key.pem", text, false},
		{"var/lib/dpkg/status", text, false},
		{"etc/shadow", text, true},
	}
	for _, tt := range tests {
		if got := Wants(tt.name, int64(len(tt.head)), tt.head); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(".netrc", []byte("machine a login b password c"))
	f.Add("root/.docker/config.json", []byte(`{"auths":{"a":{"auth":"YTpiYmJiYg=="}}}`))
	f.Add("a", []byte(signed("gh"+"p_", 36)))
	f.Add("a", []byte(pemOf("PRIVATE"+" KEY", pkcs8(f))))
	f.Add("a", []byte("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"))
	for _, p := range []string{"etc/shadow", ".pgpass", ".git-credentials", ".npmrc", ".env"} {
		f.Add(p, []byte("a:b@c://d:eeee@f=g: hhhh\n"))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		lines := strings.Count(string(content), "\n") + 1
		for _, s := range Scan(name, content, nil) {
			if s.Kind == "" || s.Line < 1 || s.Line > lines || len(s.Fingerprint) != 16 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// Texts made to be slow are not: what follows an anchor is looked at once. (A
// mistake here shows as a test that takes minutes.)
func TestScanHostile(t *testing.T) {
	for _, part := range []string{
		"-----BEGIN PRIVATE" + " KEY-----\nAAAA", "LS0tLS1CRUdJTiBQUklWQVRF", "AK" + "IAABCDEFGHIJKLMNOP secret ", "gh" + "p_",
		"T3Blbk" + "FJ", "://a:b", `"auth":`, "password ", "a:b:c:d:", "a=b ", "--token x ", "curl -u a:b ",
	} {
		text := strings.Repeat(part, Limit/len(part))
		for _, name := range []string{"app/x", ".docker/config.json", ".git-credentials", ".netrc", ".pgpass"} {
			Scan(name, []byte(text), nil)
		}
		History([]string{text}, nil)
	}
}

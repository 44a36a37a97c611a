package secrets

import (
	"bytes"
	"strings"
)

// plausible reports whether the random part of a token looks random: samples in
// documentation are made of words, repeats and sequences.
func plausible(random []byte) bool {
	var seen [256]bool
	distinct := 0
	for _, c := range random {
		if !seen[c] {
			seen[c] = true
			distinct++
		}
	}
	if distinct < min(8, len(random)/2) {
		return false
	}
	lower := bytes.ToLower(random)
	for _, s := range []string{"example", "xxxx", "0000000", "12345678", "abcdefgh", "placeholder", "changeme", "your_", "your-", "redacted", "dummy"} {
		if bytes.Contains(lower, []byte(s)) {
			return false
		}
	}
	return true
}

// placeholder reports whether the value of a password or token stands for
// nothing: it is empty, refers to something else, or says that it is to be
// replaced. A weak password ("postgres") is none.
func placeholder(value string) bool {
	v := strings.ToLower(strings.Trim(strings.TrimSpace(value), `"'`))
	switch v {
	case "", "password", "passwd", "pass", "pwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "key",
		"none", "null", "nil", "undefined", "true", "false", "yes", "no", "on", "off", "todo", "tbd", "fake",
		"test", "changeit", "sample", "default", "insecure", "notasecret", "not-a-secret", "foo", "bar", "user", "username",
		"hidden", "masked", "unset", "empty", "prompt", "file", "env", "vault", "required", "optional":
		return true
	}
	for _, s := range []string{
		"example", "changeme", "change_me", "change-me", "change_this", "change-this", "placeholder", "replaceme", "replace_me",
		"replace-me", "replace_with", "your_", "your-", "yourpassword", "yoursecret", "my_secret", "mysecret", "mypassword", "redacted",
		"dummy", "insert_", "xxxx", "****", "....", "<", "${", "$(", "$((", "{{", "}}", "%(", "…",
	} {
		if strings.Contains(v, s) {
			return true
		}
	}
	if v[0] == '$' || v[0] == '%' || len(v) > 1 && v[0] == '@' && v[len(v)-1] == '@' {
		return true
	}
	return strings.Trim(v, v[:1]) == "" // one byte, repeated
}

// isSecret reports whether a value under a name that says "secret" is one. Switches,
// small numbers, and paths or addresses where the secret is kept are not.
func isSecret(value string) bool {
	v := strings.Trim(strings.TrimSpace(value), `"'`)
	if placeholder(v) || len(v) < 3 {
		return false
	}
	if len(v) < 6 && strings.Trim(v, "0123456789") == "" {
		return false // a time to live, a port, a length
	}
	if v[0] == '/' || strings.HasPrefix(v, "./") || strings.HasPrefix(v, "~/") {
		return strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/~") != ""
	}
	return !strings.Contains(v, "://") && !strings.ContainsAny(v, " \t\n")
}

// secretName reports whether a variable, option or key of this name holds a
// secret: its last word says so. DB_PASSWORD does; PASSWORD_FILE, TOKEN_URL and
// GPG_KEY do not, nor does what a build tool puts into pages for everybody.
func secretName(name string) bool {
	n := strings.ToUpper(strings.Trim(name, "-_./:"))
	for _, public := range []string{"NEXT_PUBLIC_", "REACT_APP_", "VITE_", "NUXT_PUBLIC_", "GATSBY_", "EXPO_PUBLIC_"} {
		if strings.HasPrefix(n, public) {
			return false
		}
	}
	n = strings.TrimRight(n, "0123456789_-")
	for _, end := range []string{"_BASE64", "_B64", "_VALUE", "_PROD", "_BASE"} {
		n = strings.TrimSuffix(n, end)
	}
	words := strings.FieldsFunc(n, func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ':' })
	if len(words) == 0 || strings.Contains(n, "PUBLIC") || strings.Contains(n, "ALLOW_EMPTY") {
		return false
	}
	last := words[len(words)-1]
	for _, end := range []string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "SECRETKEY", "PRIVATEKEY", "ACCESSKEY"} {
		if strings.HasSuffix(last, end) {
			return true
		}
	}
	if len(words) < 2 {
		return false
	}
	switch last {
	case "PASS", "PWD", "PW", "CREDENTIALS":
		return true
	case "KEY":
		switch words[len(words)-2] {
		case "API", "ACCESS", "SECRET", "PRIVATE", "ENCRYPTION", "SIGNING", "MASTER", "APP", "ACCOUNT":
			return true
		}
	}
	return false
}

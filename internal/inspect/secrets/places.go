package secrets

import (
	"bytes"
	"encoding/base64"
	"path"
	"strings"
	"sync"
)

// place is a file that exists to hold credentials, known by its name.
type place struct {
	is   func(name, base string) bool
	read func(text []byte, yield func(match))
}

// placesFor returns how the files of this name are read. Names are those that
// the programs document: netrc(5), libpq's "The Password File",
// git-credential-store(1), docker-login, npmrc(5), shadow(5), and so on.
func placesFor(name string) []place {
	base := path.Base(name)
	var found []place
	for _, p := range thePlaces() {
		if p.is(name, base) {
			found = append(found, p)
		}
	}
	return found
}

// thePlaces is the table, made once.
var thePlaces = sync.OnceValue(placeTable)

func placeTable() []place {
	called := func(names ...string) func(string, string) bool {
		return func(_, base string) bool {
			for _, n := range names {
				if base == n {
					return true
				}
			}
			return false
		}
	}
	under := func(ends ...string) func(string, string) bool {
		return func(name, _ string) bool {
			for _, e := range ends {
				if name == e || strings.HasSuffix(name, "/"+e) {
					return true
				}
			}
			return false
		}
	}
	const registry = "registry-credentials"
	return []place{
		{is: under("etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-"), read: hashes},
		{is: called(".htpasswd", "htpasswd"), read: hashes},
		{is: func(name, base string) bool {
			return base == ".netrc" || base == "_netrc" || name == "etc/apt/auth.conf" || strings.HasPrefix(name, "etc/apt/auth.conf.d/")
		}, read: netrc},
		{is: called(".pgpass"), read: pgpass},
		{is: called(".git-credentials", "pip.conf", ".condarc", "sources.list"), read: urls},
		{is: under(".git/config", ".config/git/credentials", "etc/pip.conf"), read: urls},
		{is: func(name, _ string) bool { return strings.HasPrefix(name, "etc/apt/sources.list.d/") }, read: urls},
		{is: under(".docker/config.json", "containers/auth.json", ".dockercfg", ".dockerconfigjson", "kubelet/config.json"), read: dockerConfig},
		{is: called(".npmrc", "npmrc"), read: keyed("npm-credentials", isNpmKey)},
		{is: called(".pypirc"), read: keyed("pypi-credentials", secretName)},
		{is: called(".my.cnf", ".mylogin.cnf"), read: keyed("mysql-credentials", secretName)},
		{is: under(".aws/credentials"), read: keyed("aws-access-key", isAWSKey)},
		{is: under(".kube/config"), read: keyed("kubernetes-credentials", secretName)},
		{is: func(_, base string) bool { return strings.HasSuffix(base, ".kubeconfig") || base == "kubeconfig" }, read: keyed("kubernetes-credentials", secretName)},
		{is: under(".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials"), read: keyed(registry, isRegistryKey)},
		{is: isDotEnv, read: keyed("password", secretName)},
	}
}

// isDotEnv reports whether the file sets the environment of a program (".env",
// ".env.production"), and is no sample of such a file.
func isDotEnv(_, base string) bool {
	rest, ok := strings.CutPrefix(base, ".env")
	if !ok || rest != "" && rest[0] != '.' {
		return false
	}
	for _, s := range []string{"example", "sample", "template", "dist", "defaults", "test", "schema"} {
		if strings.Contains(rest, s) {
			return false
		}
	}
	return true
}

func isNpmKey(key string) bool {
	_, last, _ := cutLast(key, ":")
	return last == "_authToken" || last == "_password" || last == "_auth"
}

func isAWSKey(key string) bool {
	return strings.EqualFold(key, "aws_secret_access_key")
}

func isRegistryKey(key string) bool {
	return secretName(key) || strings.HasSuffix(strings.TrimPrefix(key, ":"), "api_key")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// lines calls yield for each line of the text, with its offset and without
// blanks around it; comments are left out.
func lines(text []byte, yield func(line []byte, at int)) {
	at := 0
	for raw := range bytes.Lines(text) {
		line := bytes.TrimLeft(raw, " \t")
		start := at + len(raw) - len(line)
		at += len(raw)
		if line = bytes.TrimRight(line, " \t\r\n"); len(line) > 0 && line[0] != '#' && line[0] != ';' {
			yield(line, start)
		}
	}
}

// keyed reads files of "key = value" or "key: value" lines and finds the values
// of the keys for which it is true that they hold a secret.
func keyed(kind string, holds func(key string) bool) func([]byte, func(match)) {
	return func(text []byte, yield func(match)) {
		lines(text, func(line []byte, at int) {
			i := bytes.IndexByte(line, '=')
			if c := bytes.Index(line, []byte(": ")); c >= 0 && (i < 0 || c < i) {
				i = c
			}
			if i <= 0 {
				return
			}
			key := strings.Trim(strings.TrimPrefix(string(line[:i]), "export "), " \t\"'")
			value := bytes.Trim(line[i+1:], " \t\"'")
			if len(value) == 0 || !holds(key) || !isSecret(string(value)) {
				return
			}
			start := at + i + 1 + bytes.Index(line[i+1:], value)
			yield(match{kind: kind, from: start, to: start + len(value)})
		})
	}
}

// hashes reads shadow(5) and Apache's password files, in which the second field
// is a hash (crypt(5)). Locked accounts ("!", "*") have none.
func hashes(text []byte, yield func(match)) {
	lines(text, func(line []byte, at int) {
		user, rest, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return
		}
		hash, _, _ := bytes.Cut(rest, []byte(":"))
		if isHash(hash) {
			start := at + len(user) + 1
			yield(match{kind: "password-hash", from: start, to: start + len(hash)})
		}
	})
}

// isHash reports whether a field is the hash of a password: "$id$…", Apache's
// "{SHA}…", the extended DES form "_…", or the 13 characters of the old one.
func isHash(field []byte) bool {
	switch {
	case len(field) < 13:
		return false
	case field[0] == '$':
		return bytes.Count(field, []byte("$")) >= 3
	case bytes.HasPrefix(field, []byte("{SHA}")):
		return true
	}
	set := newAlphabet(alphanumeric + "./")
	body := bytes.TrimPrefix(field, []byte("_"))
	return set.length(body, 0, len(body)) == len(body) && (len(field) == 13 && field[0] != '_' || len(field) == 20 && field[0] == '_')
}

// netrc finds what follows the word "password" or "passwd".
func netrc(text []byte, yield func(match)) {
	after := false
	for at := 0; at < len(text); {
		n := bytes.IndexAny(text[at:], " \t\r\n")
		if n < 0 {
			n = len(text) - at
		}
		word := string(text[at : at+n])
		switch {
		case after && word != "":
			if isSecret(word) {
				yield(match{kind: "password", from: at, to: at + n})
			}
			after = false
		case word == "password" || word == "passwd":
			after = true
		}
		at += n + 1
	}
}

// pgpass finds the fifth field of hostname:port:database:username:password, in
// which "\" stands before a ":" that ends no field.
func pgpass(text []byte, yield func(match)) {
	lines(text, func(line []byte, at int) {
		fields := 0
		for i := 0; i < len(line); i++ {
			switch line[i] {
			case '\\':
				i++
			case ':':
				if fields++; fields == 4 && isSecret(string(line[i+1:])) {
					yield(match{kind: "password", from: at + i + 1, to: at + len(line)})
				}
			}
		}
	})
}

// urls finds passwords in addresses: scheme://user:password@host.
func urls(text []byte, yield func(match)) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("://"))
		if i < 0 {
			return
		}
		at += i + len("://")
		authority := text[at:min(len(text), at+1024)]
		if end := bytes.IndexAny(authority, "/?# \t\r\n\"'<>`|;,()"); end >= 0 {
			authority = authority[:end]
		}
		user := bytes.LastIndexByte(authority, '@')
		if user < 0 {
			continue
		}
		colon := bytes.IndexByte(authority[:user], ':')
		if colon < 0 {
			continue
		}
		if password := string(authority[colon+1 : user]); isSecret(password) {
			yield(match{kind: "url-credentials", from: at + colon + 1, to: at + user})
		}
	}
}

// dockerConfig finds the logins in what "docker login" writes: "auth" is
// user:password in base64, the others are the secret itself.
func dockerConfig(text []byte, yield func(match)) {
	for _, key := range []string{`"auth"`, `"password"`, `"identitytoken"`, `"registrytoken"`} {
		for at := 0; ; {
			i := bytes.Index(text[at:], []byte(key))
			if i < 0 {
				break
			}
			at += i + len(key)
			from, to, ok := jsonString(text, at)
			if !ok {
				continue
			}
			value := string(text[from:to])
			if key == `"auth"` {
				raw, err := base64.StdEncoding.DecodeString(value)
				if err != nil {
					continue
				}
				_, value, _ = strings.Cut(strings.TrimRight(string(raw), "\x00"), ":")
			}
			if isSecret(value) {
				yield(match{kind: "registry-credentials", from: from, to: to, value: []byte(value)})
			}
		}
	}
}

// jsonString returns where the string lies that follows a key, its colon and
// blanks.
func jsonString(text []byte, at int) (from, to int, ok bool) {
	rest := bytes.TrimLeft(text[at:], " \t\r\n")
	if len(rest) == 0 || rest[0] != ':' {
		return 0, 0, false
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	if len(rest) == 0 || rest[0] != '"' {
		return 0, 0, false
	}
	end := bytes.IndexByte(rest[1:], '"')
	if end < 0 {
		return 0, 0, false
	}
	from = len(text) - len(rest) + 1
	return from, from + end, true
}

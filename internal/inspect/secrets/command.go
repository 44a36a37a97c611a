package secrets

import (
	"path"
	"strings"
)

// inCommand finds the secrets that a command line gives away, in one pass over
// its words:
//
//	NAME=value         ENV, ARG, build arguments ("RUN |1 TOKEN=…"), --option=value
//	--password value   and other options that secretName knows
//	-u user:password   of curl and its like, also --user
//	-p value           of sshpass and of "docker login"
//	Authorization: …   and other headers that carry a token
//	echo user:password | chpasswd
//
// Quotation marks are not followed, because a whole command may stand in them;
// they only end words and hold values.
func inCommand(text string) []match {
	c := command{text: text}
	for c.at < len(text) {
		c.next()
	}
	return c.found
}

type command struct {
	text  string
	at    int
	found []match

	// What the words of the present simple command were.
	fetches bool // curl and its like
	logsIn  bool // sshpass, docker login
	echoes  bool
	said    match // the password in what was echoed
	header  bool  // the next word is the scheme or value of a header
}

// next looks at one word, or passes what is none.
func (c *command) next() {
	start := c.at
	for c.at < len(c.text) && !endsWord(c.text[c.at]) {
		c.at++
	}
	if c.at == start {
		c.separator(c.text[c.at])
		c.at++
		return
	}
	word := c.text[start:c.at]
	switch {
	case c.header:
		c.header = isScheme(word)
		if !c.header {
			c.add(start, c.at)
		}
	case c.at < len(c.text) && c.text[c.at] == '=':
		c.at++
		from, to := c.value()
		c.assigned(word, from, to)
		// The value may hold the next assignment; only its own text is passed.
		if secretName(word) {
			c.at = to
		}
	case word[0] == '-' && len(word) > 1:
		from := c.at
		for from < len(c.text) && (c.text[from] == ' ' || c.text[from] == '\t') {
			from++
		}
		if from > c.at {
			c.at = from
			c.option(strings.TrimLeft(word, "-"))
		}
	default:
		c.word(word, start)
	}
}

func endsWord(b byte) bool {
	return b <= ' ' || strings.IndexByte(`"'=;|&()`+"`", b) >= 0
}

// separator notes the end of a simple command. What was echoed goes through a
// pipe.
func (c *command) separator(b byte) {
	switch b {
	case ';', '&', '\n':
		c.said = match{}
		fallthrough
	case '|':
		c.fetches, c.logsIn, c.echoes = false, false, false
	}
}

// value returns where the value lies that begins here: in quotation marks, or up
// to the end of the word.
func (c *command) value() (from, to int) {
	if c.at < len(c.text) && (c.text[c.at] == '"' || c.text[c.at] == '\'') {
		from = c.at + 1
		line := c.text[from:min(len(c.text), from+maxValue)]
		if end := strings.IndexByte(line, c.text[c.at]); end >= 0 {
			return from, from + end
		}
		return from, from
	}
	from = c.at
	for to = from; to < len(c.text) && c.text[to] > ' ' && strings.IndexByte("\"'`)", c.text[to]) < 0; to++ {
		// An operator ends the value where it looks like one: in an ENV or a
		// build argument, "&" is as good as any other letter.
		if strings.IndexByte(";&|", c.text[to]) >= 0 {
			if next := to + 1; next == len(c.text) || c.text[next] <= ' ' || c.text[next] == c.text[to] {
				break
			}
		}
	}
	return from, to
}

// maxValue bounds a value in quotation marks: a key may be in them.
const maxValue = 16 << 10

func (c *command) assigned(name string, from, to int) {
	switch {
	case secretName(name):
		c.add(from, to)
	case c.fetches && isUserOption(strings.TrimLeft(name, "-")):
		c.login(from, to)
	}
}

// option looks at the value of an option that stands as a word of its own.
func (c *command) option(name string) {
	from, to := c.value()
	switch {
	case from == to || c.text[from] == '-':
		return
	case secretName(name), c.logsIn && name == "p":
		c.add(from, to)
	case c.fetches && isUserOption(name):
		c.login(from, to)
	default:
		return
	}
	c.at = to
}

func isUserOption(name string) bool { return name == "u" || name == "user" || name == "proxy-user" }

// login finds the password in user:password.
func (c *command) login(from, to int) {
	if i := strings.IndexByte(c.text[from:to], ':'); i >= 0 {
		c.add(from+i+1, to)
	}
}

// word notes what an ordinary word says of those that follow.
func (c *command) word(word string, start int) {
	switch strings.ToLower(path.Base(word)) {
	case "curl", "http", "https", "wget", "xh":
		c.fetches = true
	case "sshpass", "login":
		c.logsIn = true
	case "echo", "printf":
		c.echoes = true
	case "chpasswd":
		if c.said.to > c.said.from {
			c.add(c.said.from, c.said.to)
		}
	case "authorization:", "proxy-authorization:", "private-token:", "job-token:", "deploy-token:", "x-api-key:", "x-auth-token:", "x-jfrog-art-api:":
		c.header = true
	default:
		if i := strings.IndexByte(word, ':'); c.echoes && i > 0 {
			c.said = match{from: start + i + 1, to: start + len(word)}
		}
	}
}

// isScheme reports whether the word is an authentication scheme (RFC 9110,
// section 11.1), behind which the credentials follow.
func isScheme(word string) bool {
	switch strings.ToLower(word) {
	case "basic", "bearer", "token":
		return true
	}
	return false
}

func (c *command) add(from, to int) {
	if isSecret(c.text[from:to]) {
		c.found = append(c.found, match{kind: "password", from: from, to: to})
	}
}

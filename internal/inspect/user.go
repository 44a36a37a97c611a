package inspect

import (
	"bytes"
	"strconv"
	"strings"
)

// passwd is where runtimes look up a user's name (passwd(5)).
const passwd = "etc/passwd"

// usersAlone returns the names and numbers of etc/passwd and nothing else of it:
// old ones hold hashes of passwords, which are nobody's to keep.
func usersAlone(content []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if fields[0] == "" || strings.HasPrefix(fields[0], "#") {
			continue
		}
		number := ""
		if len(fields) > 2 {
			number = fields[2]
		}
		out.WriteString(fields[0] + "::" + number + "\n")
	}
	return out.Bytes()
}

// userID returns the number of the user that an image's config names, "" where
// nobody can tell. Runtimes take the first line that has the name, or the number
// as a name, and make 0 of a number that is none; of several lines any may be
// meant, so that a single 0 makes it 0.
func userID(user string, open func(string) ([]byte, error)) string {
	name, _, _ := strings.Cut(user, ":")
	id := ""
	if n, err := strconv.Atoi(name); err == nil {
		id = strconv.Itoa(n)
	}
	content, err := open(passwd)
	if err != nil || name == "" {
		return id
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) < 3 || fields[0] != name {
			continue
		}
		n, err := strconv.Atoi(fields[2])
		if err != nil || n == 0 {
			return "0"
		}
		if id == "" {
			id = strconv.Itoa(n)
		}
	}
	return id
}

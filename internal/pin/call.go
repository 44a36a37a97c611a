package pin

import "strings"

// call is one command that a script runs, without sudo and the like before it.
type call struct {
	args    []word  // the command and its arguments
	line    int     // of the instruction, for words that stand nowhere
	list    bool    // its last arguments are read from a list (xargs)
	feeds   []*call // the commands that read its output through a pipe
	into    *call   // the command that its output is an argument or the input of
	capture bool    // its output is put into a word
	out     *word   // the file that its output goes to
	input   text    // a here-document or here-string
}

// name returns the command without its folder.
func (c *call) name() string {
	if len(c.args) == 0 || !c.args[0].known() {
		return ""
	}
	return c.args[0].s[strings.LastIndexByte(c.args[0].s, '/')+1:]
}

// after returns the commands that what the call writes goes through.
func (c *call) after() []*call {
	const longest = 64 // no pipe that means anything is longer
	var out []*call
	for next := c.feeds; len(next) > 0 && len(out) < longest; next = next[0].feeds {
		out = append(out, next...)
	}
	return out
}

// said returns what a command writes to its output, as far as that is known:
// echo, printf, and cat of a here-document.
func (c *call) said() text {
	switch c.name() {
	case "cat":
		return c.input
	case "echo", "printf":
		if n := len(c.args); n > 1 {
			return c.args[n-1].text
		}
	}
	return text{}
}

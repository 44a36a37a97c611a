package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/server"
)

// connection are the flags of every command that calls a server.
type connection struct {
	url       string
	authority string
	tokenFile string
}

func (c *connection) flags(f *pflag.FlagSet) {
	f.StringVar(&c.url, "server", "", "the server to ask, as in https://touchstone.example:8443 (default: the one whose data folder this is)")
	f.StringVar(&c.authority, "server-ca", "", "the server's own authority, its ca.pem (default: the data folder's, else the system's authorities)")
	f.StringVar(&c.tokenFile, "token-file", "", "file with the token; the variable TOUCHSTONE_TOKEN wins (default: the data folder's first-token)")
}

// connect makes a client of the server that was named, or of the one that keeps
// its data in this data folder.
func (p *program) connect(c *connection) (*api.Client, error) {
	client := &api.Client{Base: c.url, Agent: "touchstone/" + version}
	local := p.settings.data
	if client.Base == "" {
		address, err := server.Address(local)
		if err != nil {
			return nil, errors.New("no server is named, and none keeps its data here\nhint: --server https://…, or the variable TOUCHSTONE_SERVER")
		}
		client.Base = address
	}
	authority := c.authority
	if own := server.Authority(local); authority == "" && c.url == "" {
		authority = own
	}
	if authority != "" {
		carrier, err := api.Pinned(authority)
		if err != nil {
			return nil, err
		}
		client.HTTP = carrier
	}
	var err error
	client.Token, err = p.token(c, local)
	return client, err
}

// token finds the token; it is never a flag, because everybody on the machine can
// read those.
func (p *program) token(c *connection, local string) (string, error) {
	if t := strings.TrimSpace(p.getenv("TOUCHSTONE_TOKEN")); t != "" {
		return t, nil
	}
	path := c.tokenFile
	if path == "" {
		path = server.FirstToken(local)
	}
	data, err := os.ReadFile(path)
	if c.tokenFile == "" && (c.url != "" || errors.Is(err, fs.ErrNotExist)) {
		return "", errors.New("no token\nhint: set TOUCHSTONE_TOKEN, or name a file with --token-file; touchstone token create makes one")
	}
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// asked is a command that calls a server and tells the answer.
type asked struct {
	connection
	format string
}

func (a *asked) flags(c *cobra.Command) *cobra.Command {
	a.connection.flags(c.Flags())
	c.Flags().StringVarP(&a.format, "output", "o", "table", "output format: table, json")
	return c
}

// call asks the server; what fails on the way is nobody's wrong usage.
func (p *program) call(a *asked, do func(*api.Client) error) error {
	if a.format != "table" && a.format != "json" {
		return fmt.Errorf("-o %s: there is no such output format\nhint: table, json", a.format)
	}
	client, err := p.connect(&a.connection)
	if err != nil {
		return err
	}
	err = do(client)
	var problem *api.ProblemError
	var done *finding
	switch {
	case err == nil, errors.As(err, &done):
		return err
	case errors.As(err, &problem) && problem.Status < 500:
		return err
	default:
		return outside(err)
	}
}

// tell writes the answer as people or programs read it.
func (p *program) tell(a *asked, doc any, table func(io.Writer)) error {
	p.progress.clear()
	if a.format == "json" {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(doc)
	}
	table(p.stdout)
	return nil
}

// list goes through a whole list and returns it.
func list[T any](page func(api.Paging) (*api.Page[T], error)) ([]T, error) {
	out := []T{}
	for item, err := range api.All(page) {
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// moment writes an instant in the zone of whoever reads it.
func (p *program) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04 MST")
}

// when reads a moment to come: a day (its end), an instant, or an age from now.
func (p *program) when(flag, s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return p.now().UTC().Add(d).Truncate(time.Second), nil
	}
	t, err := p.expiry(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("--%s %s: neither a day (2027-01-31), nor an instant (2027-01-31T16:00:00Z), nor a time from now (30d, 4h)", flag, s)
	}
	return t, nil
}

// plain escapes what strangers named.
func plain(s string) string { return rules.Printable(s) }

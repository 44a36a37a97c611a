package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"touchstone.dev/touchstone/internal/api"
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
// its data in this data folder. That one is trusted by its own files.
func (p *program) connect(c *connection) (*api.Client, error) {
	data := p.settings.data
	here, err := server.Address(data)
	client := &api.Client{Base: strings.TrimSuffix(c.url, "/"), Agent: "touchstone/" + version}
	switch {
	case c.url == "" && err != nil:
		return nil, errors.New("no server is named, and none keeps its data here\nhint: --server https://…, or the variable TOUCHSTONE_SERVER")
	case c.url == "":
		client.Base = here
	case !strings.HasPrefix(c.url, "https://") && !strings.HasPrefix(c.url, "http://"):
		return nil, fmt.Errorf("--server %s: no address of a server\nhint: as in https://touchstone.example:8443", c.url)
	}
	own := client.Base == here
	if authority := c.authority; authority != "" || own {
		if authority == "" {
			authority = server.Authority(data)
		}
		if client.HTTP, err = api.Pinned(authority); err != nil {
			return nil, err
		}
	}
	if client.Token, err = p.token(c.tokenFile, own); c.tokenFile != "" && p.getenv("TOUCHSTONE_TOKEN") == "" {
		client.TokenFile = c.tokenFile // what calls for long must see another in its place
	}
	return client, err
}

// token finds the token; it is never a flag, because everybody on the machine can
// read those. The first one is for the server whose data folder this is.
func (p *program) token(file string, own bool) (string, error) {
	if t := strings.TrimSpace(p.getenv("TOUCHSTONE_TOKEN")); t != "" {
		return t, nil
	}
	if file == "" && own {
		data, err := os.ReadFile(server.FirstToken(p.settings.data))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return strings.TrimSpace(string(data)), err
		}
	}
	if file == "" {
		return "", errors.New("no token\nhint: set TOUCHSTONE_TOKEN, or name a file with --token-file; an administrator makes one with touchstone token create")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
)

func (p *program) tokenCommand() *cobra.Command {
	return group("token", "The tokens that people and robots call a server with", p.tokenCreate(), p.tokenList(), p.tokenWhoami(),
		p.remarkCommand("revoke ID", "End a token", "the id of a token", "revoked", (*api.Client).RevokeToken))
}

func (p *program) tokenCreate() *cobra.Command {
	var (
		a    asked
		ask  api.TokenAsk
		life string
	)
	c := &cobra.Command{
		Use:   "create --name WHO --role ROLE",
		Short: "Make a token; its secret is told this once",
		Example: `  touchstone token create --name alice --role approver --group release --life 30d
  touchstone token create --name vm-7 --role guard --node vm-7`,
		Args: exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.Name == "" || ask.Role != api.Guard && !slices.Contains(api.Roles(), ask.Role) {
				return errors.New("a token needs --name, and --role: viewer, developer, approver, admin or guard")
			}
			if (ask.Role == api.Guard) != (ask.Node != "") {
				return errors.New("--node names the node of a guard's token, and of no other")
			}
			end, err := p.end("life", life)
			if err != nil {
				return err
			}
			ask.Expires = end
			return p.call(&a, func(client *api.Client) error {
				got, err := client.MakeToken(cmd.Context(), ask)
				if err != nil {
					return err
				}
				return p.tell(&a, got, func(w io.Writer) {
					fmt.Fprintln(w, got.Secret)
					p.note("token %s for %s, %s, until %s", got.ID, plain(got.Name), got.Role, p.moment(got.Expires))
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&ask.Name, "name", "", "the person or robot")
	f.StringVar((*string)(&ask.Role), "role", "", "viewer, developer, approver, admin or guard")
	f.StringVar(&ask.Node, "node", "", "the node that a guard's token is for")
	f.StringSliceVar(&ask.Groups, "group", nil, "groups that the person answers for, such as release")
	f.StringSliceVar(&ask.Scope, "env", nil, "only these environments")
	f.StringVar(&life, "life", "90d", "how long it lives, or until when")
	return a.flags(c)
}

func (p *program) tokenList() *cobra.Command {
	return listCommand(p, listing[api.Token]{
		use: "list", short: "The tokens, without their secrets",
		empty: "no token", head: "ID\tNAME\tROLE\tGROUPS\tENVIRONMENTS\tEXPIRES\tREVOKED",
		page: func(cmd *cobra.Command, client *api.Client, _ []string, at api.Paging) (*api.Page[api.Token], error) {
			return client.Tokens(cmd.Context(), at)
		},
		row: p.tokenRow,
	})
}

func (p *program) tokenRow(t *api.Token) []string {
	reach := orAll(t.Scope)
	if t.Node != "" {
		reach = "the node " + t.Node
	}
	return []string{t.ID, t.Name, string(t.Role), strings.Join(t.Groups, ", "), reach, p.moment(t.Expires), p.moment(t.Revoked)}
}

// orAll names environments; none stand for all.
func orAll(environments []string) string {
	if len(environments) == 0 {
		return "all"
	}
	return strings.Join(environments, ", ")
}

func (p *program) tokenWhoami() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "whoami",
		Short: "Whose token this is, and what it may do",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				t, err := client.WhoAmI(cmd.Context())
				if err != nil {
					return err
				}
				return p.tell(&a, t, func(w io.Writer) {
					fmt.Fprintf(w, "%s, %s, for %s environments, until %s\n", plain(t.Name), t.Role, plain(orAll(t.Scope)), p.moment(t.Expires))
					if len(t.Groups) > 0 {
						fmt.Fprintf(w, "answers for %s\n", plain(strings.Join(t.Groups, ", ")))
					}
				})
			})
		},
	}
	return a.flags(c)
}

package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
)

func (p *program) tokenCommand() *cobra.Command {
	return group("token", "The tokens that people and robots call a server with", p.tokenCreate(), p.tokenList(),
		p.remarkCommand("revoke ID", "End a token", "the id of a token", "revoked", (*api.Client).RevokeToken))
}

func (p *program) tokenCreate() *cobra.Command {
	var (
		a    asked
		ask  api.TokenAsk
		life string
	)
	c := &cobra.Command{
		Use:     "create --name WHO --role ROLE",
		Short:   "Make a token; its secret is told this once",
		Example: "  touchstone token create --name alice --role approver --group release --life 30d",
		Args:    exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.Name == "" || !slices.Contains(api.Roles(), ask.Role) {
				return errors.New("a token needs --name, and --role: viewer, developer, approver or admin")
			}
			end, err := p.when("life", life)
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
	f.StringVar((*string)(&ask.Role), "role", "", "viewer, developer, approver or admin")
	f.StringSliceVar(&ask.Groups, "group", nil, "groups that the person answers for, such as release")
	f.StringSliceVar(&ask.Scope, "env", nil, "only these environments")
	f.StringVar(&life, "life", "90d", "how long it lives, or until when")
	return a.flags(c)
}

func (p *program) tokenList() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "list",
		Short: "The tokens, without their secrets",
		Args:  exactly(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				all, err := list(func(at api.Paging) (*api.Page[api.Token], error) { return client.Tokens(cmd.Context(), at) })
				if err != nil {
					return err
				}
				return p.tell(&a, all, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "ID\tNAME\tROLE\tGROUPS\tENVIRONMENTS\tEXPIRES\tREVOKED")
					for i := range all {
						k := &all[i]
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, plain(k.Name), k.Role, plain(strings.Join(k.Groups, ", ")),
							plain(strings.Join(k.Scope, ", ")), p.moment(k.Expires), p.moment(k.Revoked))
					}
					_ = t.Flush() // the writer below tells what is wrong with it
				})
			})
		},
	}
	return a.flags(c)
}

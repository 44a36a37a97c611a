package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/report"
)

// guardEvents lists what guards have told a server.
func (p *program) guardEvents() *cobra.Command {
	var filter api.GuardEventFilter
	c := listCommand(p, listing[touchstone.RuntimeEvent]{
		use: "events [ARTIFACT | ID]", short: "What guards have told a server, the newest first; or one event, whole",
		example: `  touchstone guard events --kind login --namespace shop
  touchstone guard events registry.example/shop/cart
  touchstone guard events 01JDC9T3Z1V6W0Q4N8R5K7M2XA`,
		args: atMostOne("one artifact or one id"), last: 25,
		empty: "no such event", head: "ID\tWHEN\tKIND\tACTION\tWHERE\tWHAT",
		page: func(cmd *cobra.Command, client *api.Client, args []string, at api.Paging) (*api.Page[touchstone.RuntimeEvent], error) {
			filter.Artifact = first(args)
			if err := guardChoices(&filter); err != nil {
				return nil, misused{err}
			}
			return client.GuardEvents(cmd.Context(), filter, at)
		},
		row: func(e *touchstone.RuntimeEvent) []string {
			return []string{e.ID, p.moment(e.At), string(e.Kind), string(e.Action), whereRuns(e), report.RuntimeWhat(e)}
		},
		names: isID, one: p.wholeGuardEvent,
	})
	c.Flags().StringVar(&filter.Namespace, "namespace", "", "only of this namespace")
	c.Flags().StringVar(&filter.Workload, "workload", "", `only of this workload, as in "Deployment cart"`)
	c.Flags().StringVar(&filter.Node, "node", "", "only of this node")
	c.Flags().StringVar((*string)(&filter.Kind), "kind", "", "only run-unknown, change, login, guard or replaced")
	c.Flags().StringVar((*string)(&filter.Action), "action", "", "only where the rules ask for none, alert, block or kill")
	return c
}

func guardChoices(f *api.GuardEventFilter) error {
	if err := choice("kind", string(f.Kind), string(touchstone.EventRunUnknown), string(touchstone.EventChange), string(touchstone.EventLogin),
		string(touchstone.EventGuard), string(touchstone.EventReplaced)); err != nil {
		return err
	}
	return choice("action", string(f.Action), string(touchstone.EffectNone), string(touchstone.EffectAlert), string(touchstone.EffectBlock), string(touchstone.EffectKill))
}

// whereRuns names the workload, else the node.
func whereRuns(e *touchstone.RuntimeEvent) string {
	if w := &e.Running.Workload; w.Name != "" {
		return strings.TrimSpace(e.Running.Namespace + " " + w.Kind + " " + w.Name)
	}
	return e.Node
}

func (p *program) wholeGuardEvent(cmd *cobra.Command, client *api.Client, id string) (any, func(io.Writer), error) {
	e, err := client.GuardEvent(cmd.Context(), id)
	return e, func(w io.Writer) { _ = report.RuntimeEvent(w, e) }, err // what is wrong with w is told by whoever made it
}

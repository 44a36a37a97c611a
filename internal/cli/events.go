package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/report"
)

func (p *program) eventsCommand() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "events",
		Short: "Decisions, scans and what guards see, as they happen, until interrupted",
		Long: `Decisions, scans and what guards see, as they happen, a line for each, until
interrupted. With -o json each line is a document. What happened before is told by
touchstone decisions, touchstone guard events and touchstone log list.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				for e, err := range client.Events(cmd.Context()) {
					if err == nil {
						err = p.showEvent(a.format, &e)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	return a.flags(c)
}

func (p *program) showEvent(format string, e *api.Event) error {
	if format == "json" {
		return json.NewEncoder(p.stdout).Encode(e)
	}
	line := p.moment(e.At) + "  " + e.Kind
	switch {
	case e.Decision != nil:
		line += "  " + e.Decision.ID + "  " + string(e.Decision.Verdict) + "  " + purpose(e.Decision) + "  " + short(e.Decision) + "  " + e.Decision.Why
	case e.Guard != nil:
		line += "  " + e.Guard.ID + "  " + string(e.Guard.Action) + "  " + whereRuns(e.Guard) + "  " + report.RuntimeWhat(e.Guard)
	case e.Scan != nil:
		line += "  " + e.Scan.State + "  " + e.Scan.Reference + "  " + e.Scan.Problem
	}
	_, err := fmt.Fprintln(p.stdout, plain(strings.TrimSpace(line)))
	return err
}

func (p *program) scansCommand() *cobra.Command {
	return listCommand(p, listing[api.Scan]{
		use: "scans", short: "Scans that wait, run or have failed",
		empty: "no scan waits, runs or has failed", head: "STATE\tARTIFACT\tQUEUED\tATTEMPTS\tNEXT\tPROBLEM",
		page: func(cmd *cobra.Command, client *api.Client, _ []string, at api.Paging) (*api.Page[api.Scan], error) {
			return client.Scans(cmd.Context(), at)
		},
		row: func(s *api.Scan) []string {
			return []string{s.State, s.Reference, p.moment(s.Queued), strconv.Itoa(s.Attempts), p.moment(s.Next), s.Problem}
		},
	})
}

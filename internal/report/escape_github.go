package report

import "strings"

// commandData escapes the message of a workflow command as GitHub's toolkit does
// (actions/toolkit, packages/core, command.ts, escapeData). Line ends of the
// message itself are kept, those that strangers wrote are visible by then.
func commandData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// commandProperty escapes a property of a workflow command (command.ts,
// escapeProperty).
func commandProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

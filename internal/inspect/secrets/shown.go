package secrets

import (
	"strings"

	"touchstone.dev/touchstone"
)

// Hidden stands in a command where a secret stood: no fingerprint, because short
// secrets can be guessed from one.
const Hidden = "***"

// Command returns the words of a command as they may be shown and kept: without
// secrets, and without bytes that JSON cannot hold. The words given are not
// changed.
func Command(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	// Words that JSON cannot hold would come back as others.
	valid := make([]string, len(words))
	for i, w := range words {
		valid[i] = strings.ToValidUTF8(w, "\uFFFD")
	}
	// As one line, so that an option and its value are seen together.
	line, found := History([]string{strings.Join(valid, "\t")}, nil)
	if parts := strings.Split(line[0], "\t"); len(parts) == len(valid) {
		valid = bare(parts, found)
	}
	shown, found := Redact(touchstone.Configuration{Command: valid}, nil)
	return bare(shown.Command, found)
}

// bare takes the fingerprints out of what stands for secrets.
func bare(words []string, found []touchstone.Secret) []string {
	for _, s := range found {
		for i, w := range words {
			words[i] = strings.ReplaceAll(w, "***["+s.Fingerprint+"]", Hidden)
		}
	}
	return words
}

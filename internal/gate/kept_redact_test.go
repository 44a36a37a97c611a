package gate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

func TestRedactedHidesSecrets(t *testing.T) {
	q := touchstone.Question{
		Settings: touchstone.Settings{Command: []string{"sh", "-c", "mysql --password=hunter2hunter"}, Args: []string{"--token", "s3cr3tvalue99", "serve"}},
		Login:    &touchstone.Login{Command: []string{"curl", "-u", "bob:s3cr3tvalue99", "https://shop.example"}},
	}
	got := redacted(q)
	want := touchstone.Question{
		Settings: touchstone.Settings{Command: []string{"sh", "-c", "mysql --password=***"}, Args: []string{"--token", "***", "serve"}},
		Login:    &touchstone.Login{Command: []string{"curl", "-u", "bob:***", "https://shop.example"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("redacted (-want +got)\n%s", diff)
	}
	if q.Args[1] != "s3cr3tvalue99" || q.Login.Command[2] != "bob:s3cr3tvalue99" {
		t.Error("the question itself was changed")
	}
}

func TestLawRedactingTwiceChangesNothing(t *testing.T) {
	word := rapid.OneOf(rapid.SampledFrom([]string{"--password", "--token=abcdef123456", "-u", "curl", "bob:hunter2hunter", "***", "PASSWORD=", "*** ***",
		"Authorization:", "Bearer", "https://a:b1c2d3e4f5@shop.example", "echo", "a:***|chpasswd", "sh", "-c", "=", "'", "\""}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(word, 0, 8).Draw(t, "words")
		if rapid.Bool().Draw(t, "joined") {
			words = []string{"sh", "-c", strings.Join(words, " ")}
		}
		q := touchstone.Question{Settings: touchstone.Settings{Command: words}}
		once := redacted(q)
		if diff := cmp.Diff(once, redacted(once)); diff != "" {
			t.Fatalf("redacted again (-once +twice)\n%s", diff)
		}
	})
}

package guard

import (
	"testing"

	"touchstone.dev/touchstone"
)

// Of what is waived by its content, the content has to be known.
func TestWhatIsWaivedByContentIsHashed(t *testing.T) {
	content := string(touchstone.DigestOf([]byte("a helper")))
	for _, tt := range []struct {
		name  string
		waive touchstone.Waiver
		want  bool
	}{
		{"a content", touchstone.Waiver{Rule: touchstone.RuleRunUnknown, Package: content}, true},
		{"a content that could not be judged", touchstone.Waiver{Rule: touchstone.RuleRunUnjudged, Package: content}, true},
		{"a path", touchstone.Waiver{Rule: touchstone.RuleRunUnknown, Package: "tmp/helper"}, false},
		{"a path like a content", touchstone.Waiver{Rule: touchstone.RuleRunUnknown, Package: "sha256:abc"}, false},
		{"a changed content", touchstone.Waiver{Rule: touchstone.RuleChange, Package: content}, false},
	} {
		g := &Guard{}
		g.ground.Store(&Ground{Waivers: []touchstone.Waiver{{Rule: "cvss", Package: "openssl"}, tt.waive}})
		if got := g.waivesContent(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

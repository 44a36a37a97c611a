package touchstone

import "testing"

func TestLicenceDenied(t *testing.T) {
	tests := []struct {
		expression string
		want       bool
	}{
		{"MIT", false},
		{"GPL-3.0-only", true},
		{"gpl-2.0-or-later WITH Classpath-exception-2.0", true},
		{"MIT OR GPL-3.0-only", false},
		{"GPL-2.0-only OR GPL-3.0-only", true},
		{"MIT AND GPL-3.0-only", true},
		{"(MIT OR BSD-3-Clause) AND GPL-3.0-only", true},
		{"(MIT OR GPL-3.0-only) AND Apache-2.0", false},
		{"MIT OR Apache-2.0 AND GPL-3.0-only", false},
		{"(MIT", false},
		{"(MIT GPL-3.0-only", true},
		{"Licence: GPL-2.0 or so", true},
		{"", false},
	}
	for _, tt := range tests {
		if got := licenceDenied(tt.expression, []string{"GPL-*"}); got != tt.want {
			t.Errorf("licenceDenied(%q) = %v, want %v", tt.expression, got, tt.want)
		}
	}
}

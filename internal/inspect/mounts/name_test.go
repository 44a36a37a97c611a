package mounts

import "testing"

func TestUnescape(t *testing.T) {
	for name, want := range map[string]string{
		"/plain": "/plain", `/a\040b`: "/a b", `\134\011`: "\\\t", `/end\04`: `/end\04`, `/no\999`: `/no\999`, `\\040`: `\ `, "": "",
	} {
		if got := Unescape(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

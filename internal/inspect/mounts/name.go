package mounts

import (
	"strconv"
	"strings"
)

// Unescape undoes what the kernel writes for blanks and the like in the names of its
// lists of mounts, "\040" (proc_pid_mountinfo(5)).
func Unescape(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(name[i])
	}
	return out.String()
}

package surface

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The layout of the extended attribute security.capability: struct vfs_cap_data
// and vfs_ns_cap_data in linux/capability.h; capabilities(7), "File capability
// extended attribute versioning".
const (
	capRevisionMask = 0xff000000
	capRevision1    = 0x01000000 // 32 bits: permitted, inheritable
	capRevision2    = 0x02000000 // twice 32 bits
	capRevision3    = 0x03000000 // the same, and the user ID of a namespace's root
)

// capabilities decodes the attribute into the names of the capabilities that
// the file may have, joined by commas. Inheritable ones count: they are gained
// where the caller has them. A value that the kernel refuses, too, is an error.
func capabilities(value []byte) (string, error) {
	if len(value) < 4 {
		return "", fmt.Errorf("file capabilities of %d bytes", len(value))
	}
	var words int
	magic := binary.LittleEndian.Uint32(value)
	switch size := len(value); {
	case magic&capRevisionMask == capRevision1 && size == 12:
		words = 1
	case magic&capRevisionMask == capRevision2 && size == 20,
		magic&capRevisionMask == capRevision3 && size == 24:
		words = 2
	default:
		return "", fmt.Errorf("file capabilities of revision %d in %d bytes", magic>>24, size)
	}
	names := capabilityNames()
	var held []string
	for w := range words {
		permitted := binary.LittleEndian.Uint32(value[4+8*w:])
		inheritable := binary.LittleEndian.Uint32(value[8+8*w:])
		for bit := range 32 {
			if (permitted|inheritable)&(1<<bit) == 0 {
				continue
			}
			if n := 32*w + bit; n < len(names) {
				held = append(held, "cap_"+names[n])
			} else {
				held = append(held, fmt.Sprintf("cap_%d", n))
			}
		}
	}
	return strings.Join(held, ","), nil
}

// capabilityNames returns the names by number, without "cap_", from
// linux/capability.h (Linux 5.9 and later have these 41).
func capabilityNames() []string {
	return []string{
		"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
		"setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
		"ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
		"sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
		"lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
		"wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
	}
}

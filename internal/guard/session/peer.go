package session

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Bounds of looking for a connection.
const (
	maxDescriptors = 64       // of a process
	maxSockets     = 16 << 20 // bytes of the table of sockets
)

// peer returns the address and port at the other end of the TCP connection that a
// process serves; "" where it has none, or listens only.
func (r Proc) peer(pid int) string {
	sockets := r.sockets(pid)
	if len(sockets) == 0 {
		return ""
	}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		f, err := os.Open(r.file(pid, table))
		if err != nil {
			continue
		}
		from := peerIn(io.LimitReader(f, maxSockets), sockets)
		_ = f.Close()
		if from != "" {
			return from
		}
	}
	return ""
}

// sockets returns the inodes of the sockets that a process has open.
func (r Proc) sockets(pid int) map[string]bool {
	dir := r.file(pid, "fd")
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxDescriptors)
	out := make(map[string]bool)
	for _, name := range names {
		link, err := os.Readlink(filepath.Join(dir, name))
		if inode, ok := strings.CutPrefix(link, "socket:["); ok && err == nil {
			out[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return out
}

// peerIn finds an established connection in a table of sockets (proc(5),
// /proc/net/tcp): "sl local rem st tx:rx tr:when retrnsmt uid timeout inode …".
func peerIn(table io.Reader, sockets map[string]bool) string {
	const remote, state, inode, established = 2, 3, 9, "01"
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= inode || !sockets[f[inode]] || f[state] != established {
			continue
		}
		if from, ok := addressOf(f[remote]); ok {
			return from.String()
		}
	}
	return ""
}

// addressOf reads "0100007F:1F90": each four bytes of the address are a number in
// the machine's order.
func addressOf(s string) (netip.AddrPort, bool) {
	digits, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(digits)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	address, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), ok
}

package guard

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhereAContainerSeesAFile(t *testing.T) {
	const mountinfo = `101 90 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a
102 101 0:51 / /proc rw - proc proc rw
103 101 0:30 /kubelet/pods/u1/volumes/order /order rw - tmpfs tkube rw
104 101 0:30 /kubelet/pods/u1/volumes/order/deep /order/above/deep rw - tmpfs tkube rw
105 101 0:30 /kubelet/pods/u1/etc-hosts /etc/hosts rw - tmpfs tkube rw
106 101 8:1 / /with\040blank\134s rw - ext4 /dev/sda1 rw
107 101 8:2 /with\040blank /data rw - ext4 /dev/sda2 rw
short line
`
	for _, c := range []struct {
		major, minor uint32
		in, want     string
	}{
		{0, 50, "tmp/x", "tmp/x"},
		{0, 30, "kubelet/pods/u1/volumes/order/unknown", "order/unknown"},
		{0, 30, "kubelet/pods/u1/volumes/order", "order"},
		{0, 30, "kubelet/pods/u1/volumes/order/deep/x", "order/above/deep/x"},
		{0, 30, "kubelet/pods/u1/volumes/orderly/x", "kubelet/pods/u1/volumes/orderly/x"},
		{0, 30, "kubelet/pods/u1/etc-hosts", "etc/hosts"},
		{8, 1, "bin/x", `with blank\s/bin/x`},
		{8, 2, "with blank/x", "data/x"},
		{8, 3, "bin/x", "bin/x"},
	} {
		if got := mountedAt(strings.NewReader(mountinfo), unix.Mkdev(c.major, c.minor), c.in); got != c.want {
			t.Errorf("%d:%d %s is seen at %q, want %q", c.major, c.minor, c.in, got, c.want)
		}
	}
}

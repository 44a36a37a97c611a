package containerd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
)

// Rootfs says where the files of a container lie on the node, each path as the
// guard sees it.
type Rootfs struct {
	Snapshotter string // "overlayfs", "native", …
	Key         string // of the snapshot
	// Parent is the snapshot that it stands on: the chain ID of the image's layers.
	Parent string
	Kind   RootfsKind
	// Lower are the folders of the image, the topmost first; Upper is where changes
	// go and Work the kernel's own. For RootfsOverlay.
	Lower       []string
	Upper, Work string
	// Folder is the whole root, for RootfsFolder.
	Folder string
	// Problem says why the kind is RootfsOther.
	Problem string
}

// RootfsKind tells how the layers make up the root.
type RootfsKind string

// The kinds.
const (
	RootfsOverlay RootfsKind = "overlay"
	// RootfsFolder is one folder with everything in it ("native"): what was changed
	// cannot be told from what was there but by comparing it with the image.
	RootfsFolder RootfsKind = "folder"
	// RootfsOther is what only the kernel can read: devmapper, btrfs and zfs mount a
	// device or a dataset, erofs mounts images. Such a root is seen through
	// /proc/PID/root.
	RootfsOther RootfsKind = "other"
)

func (r *Runtime) rootfs(ctx context.Context, namespace string, c *containersapi.Container) Rootfs {
	f := Rootfs{Snapshotter: clip(c.GetSnapshotter(), maxName), Key: clip(c.GetSnapshotKey(), maxName), Kind: RootfsOther}
	if f.Snapshotter == "" || f.Key == "" {
		f.Problem = "its root is no snapshot of containerd"
		return f
	}
	ctx, cancel := r.in(ctx, namespace)
	defer cancel()
	doing := fmt.Sprintf("asking for snapshot %q of %s", f.Key, f.Snapshotter)
	stat, err := r.snapshots.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: c.GetSnapshotter(), Key: c.GetSnapshotKey()})
	if err != nil {
		f.Problem = explain(doing, err).Error()
		return f
	}
	f.Parent = clip(stat.GetInfo().GetParent(), maxName)
	mounts, err := r.snapshots.Mounts(ctx, &snapshotsapi.MountsRequest{Snapshotter: c.GetSnapshotter(), Key: c.GetSnapshotKey()})
	if err != nil {
		f.Problem = explain(doing, err).Error()
		return f
	}
	r.lay(&f, mounts.GetMounts())
	return f
}

// lay reads the mounts of a snapshot. What they are decides, not the name of the
// snapshotter: several bring overlays.
func (r *Runtime) lay(f *Rootfs, mounts []*types.Mount) {
	if len(mounts) != 1 {
		f.Problem = fmt.Sprintf("the root is made of %d mounts by snapshotter %s, which is not read by layers", len(mounts), f.Snapshotter)
		return
	}
	m := mounts[0]
	bound := m.GetType() == "bind" || slices.ContainsFunc(m.GetOptions(), func(o string) bool { return o == "bind" || o == "rbind" })
	switch {
	case m.GetType() == "overlay" || m.GetType() == "fuse3.fuse-overlayfs":
		for _, option := range m.GetOptions() {
			key, value, _ := strings.Cut(option, "=")
			switch key {
			case "lowerdir":
				for _, folder := range splitFolders(value) {
					f.Lower = append(f.Lower, r.onHost(folder))
				}
			case "upperdir":
				f.Upper = r.onHost(clip(value, maxPath))
			case "workdir":
				f.Work = r.onHost(clip(value, maxPath))
			}
		}
		if f.Upper == "" || len(f.Lower) == 0 || strings.Contains(f.Lower[0], "{{") {
			f.Problem = fmt.Sprintf("the overlay of snapshotter %s does not name its folders", f.Snapshotter)
			return
		}
		f.Kind = RootfsOverlay
	case bound:
		f.Kind, f.Folder = RootfsFolder, r.onHost(clip(m.GetSource(), maxPath))
	default:
		f.Problem = fmt.Sprintf("the root is a mount of type %q by snapshotter %s, which is not read by layers", clip(m.GetType(), maxName), f.Snapshotter)
	}
}

// splitFolders splits a list of folders at ":", where no "\" is before it
// (kernel, Documentation/filesystems/overlayfs.rst).
func splitFolders(list string) []string {
	var out []string
	var b strings.Builder
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '\\' && i+1 < len(list):
			i++
			b.WriteByte(list[i])
		case list[i] == ':':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(list[i])
		}
	}
	return append(out, b.String())
}

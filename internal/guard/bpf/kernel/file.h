// Which file it is that is run or mapped, and whether its present state was
// verified.
#pragma once
#include "subject.h"

#define TRIES 8

// What was found at an address, or of a file.
struct seen {
	struct stamp stamp;
	struct inode *inode;   // the user's own: an overlay's, not that of the layer below
	struct dentry *dentry;
	u64 end;   // of the mapping
	u64 flags; // of the mapping
	u32 magic; // of the file system
	u32 nlink;
	u16 mode;
	u8 written;
	u8 indirect; // the bytes lie in another inode, which could not be asked
};

static __always_inline void read_times(struct inode *inode, struct stamp *stamp)
{
	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		stamp->mtime = BPF_CORE_READ(inode, i_mtime_sec) * 1000000000 + BPF_CORE_READ(inode, i_mtime_nsec);
		stamp->ctime = BPF_CORE_READ(inode, i_ctime_sec) * 1000000000 +
			       (BPF_CORE_READ(inode, i_ctime_nsec) & ~CTIME_QUERIED);
		return;
	}
	struct inode___hidden *hidden = (void *)inode;
	struct inode___open *open = (void *)inode;
	struct timespec64 mtime = {}, ctime = {};
	if (bpf_core_field_exists(hidden->__i_mtime))
		BPF_CORE_READ_INTO(&mtime, hidden, __i_mtime);
	else
		BPF_CORE_READ_INTO(&mtime, open, i_mtime);
	if (bpf_core_field_exists(hidden->__i_ctime))
		BPF_CORE_READ_INTO(&ctime, hidden, __i_ctime);
	else
		BPF_CORE_READ_INTO(&ctime, open, i_ctime);
	stamp->mtime = mtime.tv_sec * 1000000000 + mtime.tv_nsec;
	stamp->ctime = ctime.tv_sec * 1000000000 + ctime.tv_nsec;
}

// see reads what is to be known of a file. A file that is mapped through an overlay
// is a backing file: its own inode is that of the layer, whose size and times are
// always current (the overlay's copies are not, after a write through a mapping),
// and it remembers the path that the user opened.
static __always_inline void see(struct file *file, struct seen *seen)
{
	struct inode *below = BPF_CORE_READ(file, f_inode);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct backing_file *backing = (void *)file;
	if (bpf_core_field_exists(backing->user_path) && BPF_CORE_READ(file, f_mode) & backing_flag)
		dentry = BPF_CORE_READ(backing, user_path.dentry);
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	seen->inode = inode;
	seen->dentry = dentry;
	seen->stamp.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	seen->stamp.ino = BPF_CORE_READ(inode, i_ino);
	seen->stamp.size = BPF_CORE_READ(below, i_size);
	read_times(below, &seen->stamp);
	seen->magic = BPF_CORE_READ(inode, i_sb, s_magic);
	seen->mode = BPF_CORE_READ(inode, i_mode);
	seen->nlink = BPF_CORE_READ(inode, i_nlink);
	seen->written = BPF_CORE_READ(inode, i_writecount.counter) > 0 ||
			BPF_CORE_READ(below, i_writecount.counter) > 0;
	seen->indirect = inode == below && seen->magic == OVERLAYFS_MAGIC;
}

static long see_mapping(struct task_struct *task, struct vm_area_struct *area, void *into)
{
	struct seen *seen = into;
	seen->end = BPF_CORE_READ(area, vm_end);
	seen->flags = BPF_CORE_READ(area, vm_flags);
	struct file *file = BPF_CORE_READ(area, vm_file);
	if (file)
		see(file, seen);
	return 0;
}

// look reads what is mapped at the address in the running task; seen->inode is 0
// where that is no file. It returns 0, or a negative errno: EBUSY where another
// thread changes the map.
__noinline int look(u64 address, struct seen *seen)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct seen found = {};
	long err = -EBUSY;
	if (!seen)
		return err;
	for (int i = 0; i < TRIES && err == -EBUSY; i++)
		err = bpf_find_vma(task, address, see_mapping, &found, 0);
	*seen = found;
	return err;
}

// An overlay can keep a file's owner and mode in its upper layer and leave the bytes
// below (metacopy): stat shows the times of the upper file then, as the overlay's inode
// has them. They are believed if the bytes have not changed after them.
static __always_inline bool verified_above(void *verified, struct seen *seen)
{
	struct stamp above = seen->stamp;
	if (seen->magic != OVERLAYFS_MAGIC)
		return false;
	read_times(seen->inode, &above);
	return above.ctime > seen->stamp.ctime && bpf_map_lookup_elem(verified, &above);
}

// judge returns a why.
__noinline int judge(u64 subject, struct seen *seen)
{
	if (!seen || !seen->inode || seen->indirect)
		return ODD;
	if (!seen->nlink)
		return NAMELESS;
	if (seen->magic == FUSE_MAGIC) {
		struct subject *s = bpf_map_lookup_elem(&subjects, &subject);
		if (!s || !s->trusting)
			return FOREIGN;
	}
	void *verified = bpf_map_lookup_elem(&stamps, &subject);
	if (!verified)
		return UNVERIFIED;
	if (!bpf_map_lookup_elem(verified, &seen->stamp) && !verified_above(verified, seen))
		return UNVERIFIED;
	return seen->written ? WRITTEN : VERIFIED;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one table of fields. */
#include <string.h>

#include "base/format.h"
#include "base/util.h"
#include "fields.h"

#define F(of, str, f) \
	{ FIELD_##of, #f, offsetof(struct str, f), sizeof(((struct str *)0)->f) }
#define SUPER(f)	F(SUPER, owfs_super_disk, f)
#define HEADER(f)	F(HEADER, owfs_block_hdr, f)
#define SLOT(f)		F(SLOT, owfs_leaf_slot, f)
#define POINTER(f)	F(POINTER, owfs_branch_slot, f)
#define INODE(f)	F(INODE, owfs_inode_item, f)
#define TIME(t)		INODE(t.sec), INODE(t.nsec), INODE(t.zero)
#define DIRENT(f)	F(DIRENT, owfs_dirent_item, f)
#define XATTR(f)	F(XATTR, owfs_xattr_item, f)
#define EXTENT(f)	F(EXTENT, owfs_extent_item, f)
#define ENTRY(f)	F(ENTRY, owfs_map_entry, f)
#define ACL(f, off)	{ FIELD_ACL, #f, (off) + offsetof(struct owfs_acl_entry, f), \
			  sizeof(((struct owfs_acl_entry *)0)->f) }
#define ROOT(i) \
	SUPER(root[i].tree.addr[0]), SUPER(root[i].tree.addr[1]), \
	SUPER(root[i].tree.birth), SUPER(root[i].tree.csum), \
	SUPER(root[i].gen), SUPER(root[i].map_gen), SUPER(root[i].map_csum), \
	SUPER(root[i].map_slot), SUPER(root[i].tree_level), \
	SUPER(root[i].free_blocks), SUPER(root[i].freed_blocks)

const struct field fields[] = {
	SUPER(magic), SUPER(csum), SUPER(version), SUPER(block_size),
	SUPER(compat), SUPER(incompat), SUPER(ro_compat), SUPER(uuid),
	SUPER(label), SUPER(csum_seed), SUPER(hash_seed), SUPER(nblocks),
	SUPER(seq), SUPER(next_gen), SUPER(ino_limit), SUPER(slot),
	SUPER(state), SUPER(meta_copies), SUPER(error_code), SUPER(error_time),
	SUPER(error_block), SUPER(error_count), SUPER(mount_count),
	SUPER(mkfs_time), SUPER(mount_time), SUPER(write_time),
	SUPER(check_time), SUPER(reserve_blocks), ROOT(0), ROOT(1), SUPER(zero),

	HEADER(bh_magic), HEADER(bh_level), HEADER(bh_nitems), HEADER(bh_csum),
	HEADER(bh_addr[0]), HEADER(bh_addr[1]), HEADER(bh_gen),
	HEADER(bh_owner), HEADER(bh_low), HEADER(bh_zero32), HEADER(bh_zero64),
	SLOT(key.obj), SLOT(key.off), SLOT(off), SLOT(len), SLOT(zero),
	POINTER(key.obj), POINTER(key.off), POINTER(ptr.addr[0]),
	POINTER(ptr.addr[1]), POINTER(ptr.birth), POINTER(ptr.csum),

	INODE(mode), INODE(nlink), INODE(uid), INODE(gid), INODE(size),
	INODE(nblocks), INODE(flags), INODE(projid), INODE(rdev),
	INODE(parent), INODE(gen), TIME(atime), TIME(mtime), TIME(ctime),
	TIME(btime), INODE(xattr_next), INODE(zero32), INODE(zero64),
	DIRENT(ino), DIRENT(namelen), DIRENT(ftype), DIRENT(zero),
	DIRENT(zero32),
	{ FIELD_DIRENT, "name", offsetof(struct owfs_dirent_item, name), 2 },
	XATTR(valuelen), XATTR(valueid), XATTR(namelen), XATTR(zero16),
	XATTR(zero32),
	{ FIELD_XATTR, "name", offsetof(struct owfs_xattr_item, name), 2 },
	EXTENT(fsblock), EXTENT(len), EXTENT(flags), EXTENT(birth),
	F(INTENT, owfs_intent_item, end),
	F(ORPHAN, owfs_orphan_item, flags), F(ORPHAN, owfs_orphan_item, zero),
	F(ACL, owfs_acl_value, version),
	ACL(tag, 4), ACL(perm, 4), ACL(id, 4),
	{ FIELD_ACL, "tag2", 12, 2 }, { FIELD_ACL, "id2", 16, 4 },
	{ FIELD_BYTES, "bytes", 0, 4 },

	ENTRY(gen), ENTRY(csum), ENTRY(free), ENTRY(maxrun), ENTRY(slot),
	ENTRY(zero),
	/* of a filesystem of 16 MiB: boot area; nodes; free blocks; past its end */
	{ FIELD_BITMAP, "fixed", 0, 2 },
	{ FIELD_BITMAP, "used", 6, 4 },
	{ FIELD_BITMAP, "free", 100, 8 },
	{ FIELD_BITMAP, "past", 600, 8 },
};
const size_t nfields = ARRAY_SIZE(fields);

const char *field_structure(enum field_of of)
{
	static const char *const names[FIELD_STRUCTURES] = {
		"super", "header", "slot", "pointer", "inode", "dirent",
		"xattr", "extent", "intent", "orphan", "acl", "bytes", "entry",
		"bitmap",
	};

	return names[of];
}

const struct field *field_find(enum field_of of, const char *name)
{
	size_t i;

	for (i = 0; i < nfields; i++)
		if (fields[i].of == of && !strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

const char *field_verb_name(enum field_verb verb)
{
	static const char *const names[FIELD_VERBS] = {
		"zero", "ones", "first", "middle", "last", "add", "sub",
		"random",
	};

	return names[verb];
}

/* Fields of more than eight bytes are counted in the first eight. */
static void add(unsigned char *p, size_t len, uint64_t n)
{
	le64_t v = { 0 };

	len = min_u64(len, 8);
	memcpy(&v, p, len);
	v = cpu_to_le64(le64_to_cpu(v) + n);
	memcpy(p, &v, len);
}

void field_change(enum field_verb verb, unsigned char *p, size_t len, uint64_t n,
		  struct rng *rng)
{
	size_t i;

	switch (verb) {
	case VERB_ZERO:
	case VERB_ONES:
		memset(p, verb == VERB_ONES ? 0xff : 0, len);
		break;
	case VERB_FIRST_BIT:
		p[0] ^= 1;
		break;
	case VERB_MIDDLE_BIT:
		p[len / 2] ^= 0x10;
		break;
	case VERB_LAST_BIT:
		p[len - 1] ^= 0x80;
		break;
	case VERB_ADD:
		add(p, len, n);
		break;
	case VERB_SUB:
		add(p, len, -n);
		break;
	default:
		for (i = 0; i < len; i++)
			p[i] = (unsigned char)rng_next(rng);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images that somebody made wrong on purpose: fields of superblocks, nodes,
 * items and space map are changed and every checksum above is made right
 * again.  Whatever they say, mounting, walking, changing and removing ends,
 * crashes nothing, and what is found to be bad turns the filesystem read-only.
 *
 * HOSTILE_SEED and HOSTILE_CASES in the environment choose other cases.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <unistd.h>

#include "base/checksum.h"
#include "namei_fixture.h"
#include "space/bitmap.h"
#include "tree/node.h"

#define BYTES		(16u << 20)
#define BS		4096u
#define TARGETS		64u
#define SECONDS		20	/* for one case, sanitizers and all */
#define NAMES		64u	/* looked at in one directory */
#define DEPTH		6u

/* A block of the image, and where its checksum stands above it. */
struct target {
	owfs_fsblock_t addr[2];		/* [1] OWFS_NOBLOCK: one copy */
	int parent;			/* -1: the superblock, which is target -1 */
	size_t csum_at;			/* in the parent's bytes */
};

struct image {
	struct emubd *e;
	struct rig_env re;
	struct owfs_super sb;
	uint64_t super_pos;		/* of the newest */
	struct owfs_geo geo;
	struct target target[TARGETS];
	int n, nodes;			/* tree nodes come first */
};

static struct image images[2];
static uint64_t this_case;

/* ------------------------------------------------------------- the images */

static void apply(struct owfs_fs *fs, enum op_kind kind, const char *path,
		  const char *path2, uint64_t pos, uint64_t len,
		  unsigned int num)
{
	struct op op = { .kind = kind, .pos = pos, .len = len, .seed = pos + 1,
			 .num = num };

	snprintf(op.path, sizeof(op.path), "%s", path);
	snprintf(op.path2, sizeof(op.path2), "%s", path2);
	assert_int_equal(rig_apply(fs, &op), 0);
}

static void populate(struct owfs_fs *fs)
{
	char name[32];
	unsigned int i;

	apply(fs, OP_CREATE, "file", "", 0, 0, 0);
	apply(fs, OP_WRITE, "file", "", 0, 3 * BS, 0);
	apply(fs, OP_WRITE, "file", "", 5 * BS, 2 * BS, 0);
	apply(fs, OP_LINK, "file", "again", 0, 0, 0);
	apply(fs, OP_SETXATTR, "file", "", 0, 30, 1);
	apply(fs, OP_SETXATTR, "file", "", 1, 3000, 2);
	apply(fs, OP_CREATE, "other", "", 0, 0, 0);
	for (i = 0; i < 10; i++)
		apply(fs, OP_WRITE, "other", "", 2 * i * BS, BS / 2, 0);
	apply(fs, OP_PREALLOC_KEEP, "other", "", 30 * BS, 2 * BS, 0);
	apply(fs, OP_MKDIR, "dir", "", 0, 0, 0);
	apply(fs, OP_MKDIR, "dir/sub", "", 0, 0, 0);
	apply(fs, OP_SYMLINK, "dir/short", "file", 0, 0, 0);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "dir/sub/%u", i);
		apply(fs, OP_CREATE, name, "", 0, 0, 0);
		apply(fs, OP_WRITE, name, "", 0, 100, 0);
	}
	/* doomed extents that nobody reclaims before the crash */
	apply(fs, OP_CREATE, "doomed", "", 0, 0, 0);
	for (i = 0; i < 10; i++)
		apply(fs, OP_WRITE, "doomed", "", 2 * i * BS, BS, 0);
	assert_int_equal(owfs_syncfs(fs), 0);
	apply(fs, OP_TRUNCATE, "doomed", "", BS, 0, 0);
}

/* An unlinked file that is still open, when the lights go out. */
static void populate_and_crash(struct image *im)
{
	struct owfs_fs_param p = {
		.bd = emubd_blkdev(im->e), .env = &im->re.env, .cut_extents = 2,
	};
	struct owfs_inode *orphan;
	struct owfs_fs *fs;
	int err;

	assert_int_equal(owfs_mount(&fs, &p), 0);
	populate(fs);
	apply(fs, OP_CREATE, "orphan", "", 0, 0, 0);
	apply(fs, OP_WRITE, "orphan", "", 0, 2 * BS, 0);
	orphan = rig_lookup(fs, "orphan", &err);
	apply(fs, OP_UNLINK, "orphan", "", 0, 0, 0);
	assert_int_equal(owfs_syncfs(fs), 0);
	owfs_iput(orphan);
	owfs_mount_abandon(fs);
}

static void peek_target(const struct image *im, struct emubd *e, int i,
			unsigned char *block)
{
	emubd_peek(e, block, BS, im->target[i].addr[0] * BS);
}

static int add_target(struct image *im, owfs_fsblock_t addr0,
		      owfs_fsblock_t addr1, int parent, size_t csum_at)
{
	assert_true(im->n < (int)TARGETS);
	im->target[im->n] = (struct target){
		.addr = { addr0, addr1 }, .parent = parent, .csum_at = csum_at,
	};
	return im->n++;
}

static void find_nodes(struct image *im, int at)
{
	unsigned char block[BS] __attribute__((aligned(8)));
	unsigned int i;

	peek_target(im, im->e, at, block);
	for (i = 0; owfs_node_level(block) && i < owfs_node_nitems(block); i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(block, i);
		size_t slot = (size_t)((const unsigned char *)
				       owfs_branch_slot(block, i) - block);

		find_nodes(im, add_target(im, ptr.addr[0], ptr.addr[1], at,
			slot + offsetof(struct owfs_branch_slot, ptr) +
			offsetof(struct owfs_ptr_disk, csum)));
	}
}

/* One level of map nodes, one group. */
static void find_map(struct image *im)
{
	const struct owfs_map_root *root = &im->sb.root[0].map;
	unsigned char block[BS] __attribute__((aligned(8)));
	const struct owfs_map_entry *e = (const void *)
		(block + sizeof(struct owfs_block_hdr));
	int node;

	node = add_target(im, owfs_geo_map_slot(&im->geo, 1, 0, root->slot),
			  OWFS_NOBLOCK, -1,
			  offsetof(struct owfs_super_disk, root) +
			  offsetof(struct owfs_root_disk, map_csum));
	peek_target(im, im->e, node, block);
	add_target(im, owfs_geo_bitmap_slot(&im->geo, 0, e->slot),
		   OWFS_NOBLOCK, node, sizeof(struct owfs_block_hdr) +
		   offsetof(struct owfs_map_entry, csum));
}

static void image_make(struct image *im, unsigned int copies)
{
	struct owfs_slots slots;

	rig_env_init(&im->re, copies);
	im->e = rig_mkfs(&im->re, BYTES, BS, copies);
	assert_non_null(im->e);
	populate_and_crash(im);
	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &im->sb, &slots,
					 NULL), 0);
	im->super_pos = (uint64_t)owfs_geo_super_pos(BYTES, slots.newest);
	assert_int_equal(owfs_geo_init(&im->geo, BS, im->sb.nblocks), 0);
	assert_int_equal(im->geo.levels, 1);
	find_nodes(im, add_target(im, im->sb.root[0].tree.addr[0],
				  im->sb.root[0].tree.addr[1], -1,
				  offsetof(struct owfs_super_disk, root) +
				  offsetof(struct owfs_ptr_disk, csum)));
	im->nodes = im->n;
	find_map(im);
}

/* ----------------------------------------------------------- wrong fields */

static uint64_t super_csum(struct owfs_super_disk *d)
{
	d->csum = cpu_to_le64(0);
	return owfs_checksum(0, d, sizeof(*d));
}

static void super_store(const struct image *im, struct emubd *e,
			struct owfs_super_disk *d)
{
	unsigned int slot;

	for (slot = 0; slot < OWFS_SUPER_SLOTS; slot++) {
		d->slot = cpu_to_le32(slot);
		d->csum = cpu_to_le64(super_csum(d));
		emubd_poke(e, d, sizeof(*d),
			   (uint64_t)owfs_geo_super_pos(im->sb.nblocks * BS,
							slot));
	}
}

/* Write the block, and right checksums all the way up. */
static void target_store(const struct image *im, struct emubd *e, int i,
			 unsigned char *block)
{
	const struct target *t = &im->target[i];
	struct owfs_block_hdr *hdr = (struct owfs_block_hdr *)block;
	unsigned char above[BS] __attribute__((aligned(8)));
	le64_t csum;

	hdr->bh_csum = cpu_to_le64(0);
	hdr->bh_csum = cpu_to_le64(owfs_checksum(im->sb.csum_seed, block, BS));
	csum = hdr->bh_csum;
	emubd_poke(e, block, BS, t->addr[0] * BS);
	if (t->addr[1] != OWFS_NOBLOCK)
		emubd_poke(e, block, BS, t->addr[1] * BS);
	if (t->parent < 0) {
		emubd_peek(e, above, OWFS_SUPER_BYTES, im->super_pos);
		memcpy(above + t->csum_at, &csum, sizeof(csum));
		super_store(im, e, (struct owfs_super_disk *)above);
		return;
	}
	peek_target(im, e, t->parent, above);
	memcpy(above + t->csum_at, &csum, sizeof(csum));
	target_store(im, e, t->parent, above);
}

/* Numbers that parsers trip over, and numbers that mean something here. */
static uint64_t wrong_number(const struct image *im, struct rng *r, uint64_t old)
{
	static const uint64_t nasty[] = {
		0, 1, 2, 7, 8, 255, 256, 4095, 4096, 65535, 65536, 0x7fffffff,
		0x80000000, 0xffffffff, 1ull << 56, INT64_MAX, 1ull << 63,
		UINT64_MAX - 1, UINT64_MAX,
	};
	unsigned char block[BS] __attribute__((aligned(8)));
	uint64_t v;

	switch (rng_below(r, 7)) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return old ^ 1ull << rng_below(r, 64);
	case 3:
		return nasty[rng_below(r, ARRAY_SIZE(nasty))];
	case 4:
		return im->target[rng_below(r, (uint64_t)im->n)].addr[0];
	case 5:
		return 1 + rng_below(r, 70);	/* inodes, short lengths */
	default:	/* a word from somewhere else */
		peek_target(im, im->e, (int)rng_below(r, (uint64_t)im->n),
			    block);
		memcpy(&v, block + 8 * rng_below(r, BS / 8), sizeof(v));
		return v;
	}
}

static void wrong_field(const struct image *im, struct rng *r,
			unsigned char *bytes, size_t from, size_t end)
{
	size_t width = (size_t)1 << rng_below(r, 4), at;
	uint64_t v = 0;

	at = from + width * rng_below(r, (end - from) / width);
	memcpy(&v, bytes + at, width);
	v = wrong_number(im, r, v);
	memcpy(bytes + at, &v, width);
}

/* In the header, among the slots, or in the values of items. */
static void wrong_in_node(const struct image *im, struct rng *r,
			  unsigned char *node)
{
	size_t slots = sizeof(struct owfs_block_hdr), low = BS, gap;
	unsigned int n = owfs_node_nitems(node);

	if (owfs_node_level(node)) {
		gap = slots + n * sizeof(struct owfs_branch_slot);
	} else {
		gap = slots + n * sizeof(struct owfs_leaf_slot);
		low = le32_to_cpu(owfs_node_hdr(node)->bh_low);
	}
	if (rng_below(r, 20) == 0)
		wrong_field(im, r, node, 0, slots);
	else if (low < BS && low > gap && rng_below(r, 8))
		wrong_field(im, r, node, low, BS);
	else if (gap > slots && gap <= BS)
		wrong_field(im, r, node, slots, gap);
}

static void wrong_in_map(const struct image *im, struct rng *r,
			 unsigned char *block)
{
	const size_t hdr = sizeof(struct owfs_block_hdr);

	wrong_field(im, r, block, rng_below(r, 4) ? hdr : 0, hdr + 512);
}

/*
 * Used blocks free, or free ones used, and all that counts them in agreement:
 * what a writer of owfs would be led to do with its own nodes.
 */
static void wrong_bits(const struct image *im, struct emubd *e, struct rng *r)
{
	unsigned char bitmap[BS] __attribute__((aligned(8)));
	unsigned char node[BS] __attribute__((aligned(8)));
	struct owfs_super_disk sb;
	struct owfs_map_entry *entry =
		(void *)(node + sizeof(struct owfs_block_hdr));
	uint64_t *bits = (uint64_t *)(bitmap + sizeof(struct owfs_block_hdr));
	const uint32_t nbits = im->geo.group_blocks;
	uint32_t first = owfs_geo_group_head(&im->geo, 0), start, len, nfree;
	uint64_t times = 1 + rng_below(r, 4);

	peek_target(im, e, im->n - 1, bitmap);
	peek_target(im, e, im->n - 2, node);
	emubd_peek(e, &sb, sizeof(sb), im->super_pos);
	while (times--) {
		start = first + rng_below(r, 3000);
		if (rng_below(r, 2))
			start = im->target[rng_below(r, im->nodes)].addr[0];
		len = 1 + rng_below(r, 1ull << rng_below(r, 9));
		if (rng_below(r, 4))
			owfs_bitmap_clear(bits, start, len);
		else
			owfs_bitmap_set(bits, start, len);
	}
	nfree = nbits - owfs_bitmap_weight(bits, nbits / 64);
	entry->free = cpu_to_le64(nfree);
	entry->maxrun = cpu_to_le32(owfs_bitmap_find_clear(bits, 0, nbits, nbits,
							   &start));
	sb.root[0].free_blocks = cpu_to_le64(nfree);
	sb.root[0].freed_blocks = cpu_to_le64(rng_below(r, 2) ? nfree : 1000);
	super_store(im, e, &sb);
	target_store(im, e, im->n - 2, node);
	target_store(im, e, im->n - 1, bitmap);
}

static void make_wrong(const struct image *im, struct emubd *e, struct rng *r)
{
	unsigned char block[BS] __attribute__((aligned(8)));
	uint64_t times = 1 + rng_below(r, 3) / 2;
	int i = (int)rng_below(r, (uint64_t)im->n + 1) - 1;

	if (rng_below(r, 8) == 0) {
		wrong_bits(im, e, r);
		return;
	}
	if (i < 0) {
		emubd_peek(e, block, OWFS_SUPER_BYTES, im->super_pos);
		while (times--)
			wrong_field(im, r, block, 0, 0x1a0);
		super_store(im, e, (struct owfs_super_disk *)block);
		return;
	}
	peek_target(im, e, i, block);
	while (times--) {
		if (i < im->nodes)
			wrong_in_node(im, r, block);
		else
			wrong_in_map(im, r, block);
	}
	target_store(im, e, i, block);
}

/* --------------------------------------------------------------- using it */

/* What an operation on such an image may answer, as long as it is not EUCLEAN. */
static void answer(struct owfs_fs *fs, long ret)
{
	if (ret != -EFSCORRUPTED && ret != -EFSBADCRC)
		return;
	if (!owfs_fs_writable(fs))
		fail_msg("case %llu: bad metadata was found, and nothing follows",
			 (unsigned long long)this_case);
}

struct names {
	char name[NAMES][OWFS_NAME_MAX + 1];
	unsigned int n;
};

static int collect(void *ctx, const struct owfs_dirent *de)
{
	struct names *l = ctx;

	if (de->namelen <= 2 && !memcmp(de->name, "..", de->namelen))
		return 0;
	memcpy(l->name[l->n], de->name, de->namelen);
	l->name[l->n][de->namelen] = '\0';
	return ++l->n == NAMES;
}

static void look_xattrs(struct owfs_inode *inode)
{
	static char value[OWFS_XATTR_SIZE_MAX];
	char list[512], *name;
	ssize_t n = owfs_listxattr(inode, list, sizeof(list), NULL);

	answer(inode->i_fs, n);
	for (name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		answer(inode->i_fs, owfs_getxattr(inode, name, strlen(name),
						  value, sizeof(value)));
		if (!owfs_fs_writable(inode->i_fs))
			answer(inode->i_fs, owfs_removexattr(inode, name,
							     strlen(name)));
	}
}

static void look_file(struct owfs_inode *inode)
{
	static char buf[16 * BS];
	struct stat st = nx_stat(inode);
	loff_t end = st.st_size > 5000 ? st.st_size - 5000 : 0;
	struct owfs_fs *fs = inode->i_fs;

	answer(fs, owfs_file_read(inode, buf, sizeof(buf), 0));
	answer(fs, owfs_file_read(inode, buf, sizeof(buf), end));
	answer(fs, owfs_file_seek(inode, 0, SEEK_HOLE));
	answer(fs, owfs_file_seek(inode, 1, SEEK_DATA));
}

static void change_file(struct owfs_inode *inode)
{
	static const char buf[3 * BS] = "new";
	const int keep = FALLOC_FL_KEEP_SIZE;
	struct owfs_fs *fs = inode->i_fs;

	answer(fs, owfs_file_write(inode, buf, 5000, 100, false, OWFS_SET_KILL_SUIDGID));
	answer(fs, owfs_file_write(inode, buf, sizeof(buf), 30 * BS, false,
				   false));
	answer(fs, owfs_file_write(inode, buf, 10, 0, true, false));
	answer(fs, owfs_file_fallocate(inode, FALLOC_FL_PUNCH_HOLE | keep, 10,
				       9 * BS));
	answer(fs, owfs_file_fallocate(inode, FALLOC_FL_ZERO_RANGE, BS, BS));
	answer(fs, owfs_file_fallocate(inode, keep, 0, 5 * BS));
	answer(fs, owfs_file_truncate(inode, BS + 17));
	answer(fs, owfs_setxattr(inode, "user.n", 6, buf, 2000, 0));
}

static void walk(struct owfs_inode *dir, unsigned int depth, bool change);

static void walk_inode(struct owfs_inode *dir, struct owfs_inode *inode,
		       const char *name, unsigned int depth, bool change)
{
	char buf[OWFS_SYMLINK_MAX + 1];
	struct owfs_fs *fs = inode->i_fs;

	nx_stat(inode);
	look_xattrs(inode);
	if (S_ISLNK(inode->i_type))
		answer(fs, owfs_readlink(inode, buf, sizeof(buf)));
	if (S_ISREG(inode->i_type)) {
		look_file(inode);
		if (change)
			change_file(inode);
	}
	if (S_ISDIR(inode->i_type)) {
		walk(inode, depth + 1, change);
		answer(fs, change ? nx_rmdir(dir, name) : 0);
	} else if (change) {
		answer(fs, nx_link(inode, dir, "one more"));
		answer(fs, nx_rename(dir, name, dir, "one more", 0));
		answer(fs, nx_unlink(dir, "one more"));
		answer(fs, nx_unlink(dir, name));
	}
}

static void walk(struct owfs_inode *dir, unsigned int depth, bool change)
{
	struct names *l = calloc(1, sizeof(*l));
	struct owfs_inode *inode;
	unsigned int i;
	int ret;

	answer(dir->i_fs, owfs_readdir(dir, 0, collect, l));
	for (i = 0; i < l->n && depth < DEPTH; i++) {
		ret = nx_lookup(dir, l->name[i], &inode);
		answer(dir->i_fs, ret);
		if (ret)
			continue;
		walk_inode(dir, inode, l->name[i], depth, change);
		owfs_iput(inode);
	}
	free(l);
}

static void reclaim(struct owfs_fs *fs)
{
	unsigned int i;
	int ret;

	for (i = 0; i < 1000; i++) {
		OWFS_RETRY(fs, ret, owfs_reclaim_step(fs));
		answer(fs, ret);
		if (ret <= 0)
			return;
	}
	fail_msg("case %llu: reclaim does not end",
		 (unsigned long long)this_case);
}

static void use(struct image *im, struct emubd *e)
{
	struct owfs_inode *root, *inode;
	struct owfs_fs *fs;

	if (rig_mount(&fs, e, &im->re, 0, NULL))
		return;
	if (!owfs_iget(fs, OWFS_INO_ROOT, &root)) {
		walk(root, 0, false);
		reclaim(fs);
		if (!nx_create(root, "new", S_IFREG | 0644, &inode))
			owfs_iput(inode);
		answer(fs, owfs_syncfs(fs));
		walk(root, 0, true);
		reclaim(fs);
		owfs_iput(root);
	}
	answer(fs, owfs_syncfs(fs));
	owfs_unmount(fs);
}

/* -------------------------------------------------------------- the cases */

static void took_too_long(int sig)
{
	char line[] = "case 00000000000000000000 does not end\n";
	uint64_t n = this_case;
	int i;

	(void)sig;
	for (i = 24; n && i > 4; i--, n /= 10)
		line[i] = (char)('0' + n % 10);
	if (write(STDERR_FILENO, line, sizeof(line) - 1) > 0)
		abort();
	abort();
}

static void one_case(uint64_t number)
{
	struct image *im = &images[number % 2];
	struct emubd *e = emubd_fork(im->e);
	struct rng r = { number * 0x9e3779b97f4a7c15ull };
	struct owfs_check_param p = { 0 };
	struct owfs_check_report report;

	this_case = number;
	rng_next(&r);
	make_wrong(im, e, &r);
	alarm(SECONDS);
	owfs_check(emubd_blkdev(e), &p, &report);
	use(im, e);
	owfs_check(emubd_blkdev(e), &p, &report);
	alarm(0);
	emubd_destroy(e);
}

static uint64_t number_from(const char *name, uint64_t standard)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : standard;
}

static void test_wrong_fields_harm_nobody(void **state)
{
	uint64_t seed = number_from("HOSTILE_SEED", 1), i;
	uint64_t n = number_from("HOSTILE_CASES", 300);

	(void)state;
	for (i = 0; i < n; i++) {
		if (getenv("HOSTILE_TALK"))
			fprintf(stderr, "case %llu\n",
				(unsigned long long)(seed + i));
		one_case(seed + i);
	}
}

static int setup(void **state)
{
	(void)state;
	signal(SIGALRM, took_too_long);
	image_make(&images[0], 1);
	image_make(&images[1], 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	emubd_destroy(images[0].e);
	emubd_destroy(images[1].e);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_fields_harm_nobody),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each field of each structure on the device, made wrong in each way, with the
 * checksums left as they were and with all of them made right again; and the
 * repair after it.  FIELDS_ONLY=structure.field for some of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/err.h"
#include "base/util.h"
#include "repair_judge.h"
#include "space/geo.h"
#include "trans/super.h"
#include "tree/node.h"

static struct scene plain, dup;

/* ------------------------------------------------------------------- verbs */

static const char *const verbs[] = {
	"zero", "ones", "first bit", "middle bit", "last bit", "add", "subtract",
	"random",
};

static void apply_verb(unsigned int verb, unsigned char *p, size_t len,
		       struct rng *rng)
{
	uint64_t v = 0;
	size_t i;

	switch (verb) {
	case 0:
	case 1:
		memset(p, verb ? 0xff : 0, len);
		return;
	case 2:
		p[0] ^= 1;
		return;
	case 3:
		p[len / 2] ^= 0x10;
		return;
	case 4:
		p[len - 1] ^= 0x80;
		return;
	case 5:
	case 6:
		memcpy(&v, p, min_u64(len, 8));
		v += verb == 5 ? 1 : UINT64_MAX;
		memcpy(p, &v, min_u64(len, 8));
		return;
	default:
		for (i = 0; i < len; i++)
			p[i] = (unsigned char)rng_next(rng);
	}
}

/* ------------------------------------------------------------------ places */

enum where {
	IN_SUPER,
	IN_ROOT,		/* the root node: its header or first slots */
	IN_LEAF,		/* the same of the first leaf */
	IN_ITEM,		/* the value of the first item of a type */
	IN_MAP,			/* the map's root node */
	IN_BITMAP,
};

struct field {
	const char *name;
	enum where where;
	unsigned int type;	/* IN_ITEM */
	size_t off, len;
};

#define F(w, t, str, f) \
	{ #str "." #f, w, t, offsetof(struct str, f), \
	  sizeof(((struct str *)0)->f) }
#define SUPER(f)	F(IN_SUPER, 0, owfs_super_disk, f)
#define HDR(w, f)	F(w, 0, owfs_block_hdr, f)
#define ITEM(t, s, f)	F(IN_ITEM, OWFS_ITEM_##t, s, f)
#define AT(w, name, off, len) { name, w, 0, off, len }
#define HDR_SIZE	sizeof(struct owfs_block_hdr)

static const struct field fields[] = {
	SUPER(magic), SUPER(csum), SUPER(version), SUPER(block_size),
	SUPER(compat), SUPER(incompat), SUPER(ro_compat), SUPER(uuid),
	SUPER(label), SUPER(csum_seed), SUPER(hash_seed), SUPER(nblocks),
	SUPER(seq), SUPER(next_gen), SUPER(ino_limit), SUPER(slot),
	SUPER(state), SUPER(meta_copies), SUPER(error_code), SUPER(error_time),
	SUPER(error_block), SUPER(error_count), SUPER(mount_count),
	SUPER(mkfs_time), SUPER(reserve_blocks), SUPER(root[0].tree),
	SUPER(root[0].gen), SUPER(root[0].map_gen), SUPER(root[0].map_csum),
	SUPER(root[0].map_slot), SUPER(root[0].tree_level),
	SUPER(root[0].free_blocks), SUPER(root[0].freed_blocks),
	SUPER(root[1].tree), SUPER(root[1].gen), SUPER(root[1].map_gen),
	SUPER(root[1].map_csum), SUPER(root[1].map_slot), SUPER(zero),

	HDR(IN_ROOT, bh_magic), HDR(IN_ROOT, bh_level), HDR(IN_ROOT, bh_nitems),
	HDR(IN_ROOT, bh_csum), HDR(IN_ROOT, bh_addr[0]),
	HDR(IN_ROOT, bh_addr[1]), HDR(IN_ROOT, bh_gen), HDR(IN_ROOT, bh_owner),
	HDR(IN_ROOT, bh_low), HDR(IN_ROOT, bh_zero32), HDR(IN_ROOT, bh_zero64),
	HDR(IN_LEAF, bh_magic), HDR(IN_LEAF, bh_level), HDR(IN_LEAF, bh_nitems),
	HDR(IN_LEAF, bh_csum), HDR(IN_LEAF, bh_addr[0]),
	HDR(IN_LEAF, bh_addr[1]), HDR(IN_LEAF, bh_gen), HDR(IN_LEAF, bh_owner),
	HDR(IN_LEAF, bh_low), HDR(IN_LEAF, bh_zero32), HDR(IN_LEAF, bh_zero64),
	AT(IN_LEAF, "slot 0, obj", HDR_SIZE, 8),
	AT(IN_LEAF, "slot 0, key's off", HDR_SIZE + 8, 8),
	AT(IN_LEAF, "slot 0, off", HDR_SIZE + 16, 2),
	AT(IN_LEAF, "slot 0, len", HDR_SIZE + 18, 2),
	AT(IN_LEAF, "slot 0, zero", HDR_SIZE + 20, 4),
	AT(IN_LEAF, "slot 1, obj", HDR_SIZE + 24, 8),
	AT(IN_LEAF, "slot 1, key's off", HDR_SIZE + 32, 8),
	AT(IN_LEAF, "slot 1, off", HDR_SIZE + 40, 2),
	AT(IN_ROOT, "pointer 0, addr", HDR_SIZE + 16, 8),
	AT(IN_ROOT, "pointer 0, second", HDR_SIZE + 24, 8),
	AT(IN_ROOT, "pointer 0, birth", HDR_SIZE + 32, 8),
	AT(IN_ROOT, "pointer 0, csum", HDR_SIZE + 40, 8),
	AT(IN_ROOT, "pointer 1, obj", HDR_SIZE + 48, 8),
	AT(IN_ROOT, "pointer 1, addr", HDR_SIZE + 64, 8),
	AT(IN_ROOT, "pointer 1, birth", HDR_SIZE + 80, 8),

	ITEM(INODE, owfs_inode_item, mode), ITEM(INODE, owfs_inode_item, nlink),
	ITEM(INODE, owfs_inode_item, uid), ITEM(INODE, owfs_inode_item, gid),
	ITEM(INODE, owfs_inode_item, size),
	ITEM(INODE, owfs_inode_item, nblocks),
	ITEM(INODE, owfs_inode_item, flags),
	ITEM(INODE, owfs_inode_item, projid),
	ITEM(INODE, owfs_inode_item, rdev),
	ITEM(INODE, owfs_inode_item, parent),
	ITEM(INODE, owfs_inode_item, gen),
	ITEM(INODE, owfs_inode_item, atime),
	ITEM(INODE, owfs_inode_item, mtime.nsec),
	ITEM(INODE, owfs_inode_item, ctime.zero),
	ITEM(INODE, owfs_inode_item, xattr_next),
	ITEM(INODE, owfs_inode_item, zero32),
	ITEM(INODE, owfs_inode_item, zero64),
	ITEM(DIRENT, owfs_dirent_item, ino),
	ITEM(DIRENT, owfs_dirent_item, namelen),
	ITEM(DIRENT, owfs_dirent_item, ftype),
	ITEM(DIRENT, owfs_dirent_item, zero),
	ITEM(DIRENT, owfs_dirent_item, zero32),
	{ "dirent.name", IN_ITEM, OWFS_ITEM_DIRENT, 16, 2 },
	ITEM(XATTR, owfs_xattr_item, valuelen),
	ITEM(XATTR, owfs_xattr_item, valueid),
	ITEM(XATTR, owfs_xattr_item, namelen),
	ITEM(XATTR, owfs_xattr_item, zero16),
	ITEM(XATTR, owfs_xattr_item, zero32),
	{ "xattr.name", IN_ITEM, OWFS_ITEM_XATTR, 16, 2 },
	ITEM(EXTENT, owfs_extent_item, fsblock),
	ITEM(EXTENT, owfs_extent_item, len),
	ITEM(EXTENT, owfs_extent_item, flags),
	ITEM(EXTENT, owfs_extent_item, birth),
	{ "symlink.target", IN_ITEM, OWFS_ITEM_SYMLINK, 0, 4 },

	HDR(IN_MAP, bh_magic), HDR(IN_MAP, bh_level), HDR(IN_MAP, bh_nitems),
	HDR(IN_MAP, bh_csum), HDR(IN_MAP, bh_addr[0]), HDR(IN_MAP, bh_gen),
	HDR(IN_MAP, bh_owner), HDR(IN_MAP, bh_low), HDR(IN_MAP, bh_zero64),
	AT(IN_MAP, "entry.gen", HDR_SIZE, 8),
	AT(IN_MAP, "entry.csum", HDR_SIZE + 8, 8),
	AT(IN_MAP, "entry.free", HDR_SIZE + 16, 8),
	AT(IN_MAP, "entry.maxrun", HDR_SIZE + 24, 4),
	AT(IN_MAP, "entry.slot", HDR_SIZE + 28, 1),
	AT(IN_MAP, "entry.zero", HDR_SIZE + 29, 3),
	AT(IN_MAP, "entry 1.gen", HDR_SIZE + 32, 8),
	HDR(IN_BITMAP, bh_magic), HDR(IN_BITMAP, bh_level),
	HDR(IN_BITMAP, bh_csum), HDR(IN_BITMAP, bh_addr[0]),
	HDR(IN_BITMAP, bh_gen), HDR(IN_BITMAP, bh_owner),
	AT(IN_BITMAP, "fixed bits", HDR_SIZE, 2),
	AT(IN_BITMAP, "bits in use", HDR_SIZE + 6, 4),
	AT(IN_BITMAP, "free bits", HDR_SIZE + 100, 8),
	AT(IN_BITMAP, "bits past the end", HDR_SIZE + 600, 8),
};

/* ----------------------------------------------------------------- editing */

struct edit {
	const struct field *f;
	unsigned int verb;
	bool fix;		/* checksums, up to the superblock */
	struct rng rng;
	struct owfs_super sb;
	struct touched t;
};

static void change(struct edit *ed, unsigned char *at)
{
	apply_verb(ed->verb, at + ed->f->off, ed->f->len, &ed->rng);
}

/* All four alike if the checksum is to be right, else one of them. */
static void edit_super(struct image *im, struct edit *ed)
{
	uint64_t bytes = ed->sb.nblocks * ed->sb.blocksize;
	struct owfs_super_disk d;
	unsigned int i;

	for (i = 0; i < (ed->fix ? OWFS_SUPER_SLOTS : 1); i++) {
		uint64_t pos = (uint64_t)owfs_geo_super_pos(bytes, i);

		emubd_peek(im->e, &d, sizeof(d), pos);
		change(ed, (unsigned char *)&d);
		if (ed->fix && strcmp(ed->f->name, "owfs_super_disk.csum")) {
			d.csum = cpu_to_le64(0);
			d.csum = cpu_to_le64(owfs_checksum(0, &d, sizeof(d)));
		}
		emubd_poke(im->e, &d, sizeof(d), pos);
	}
	/* a filesystem that says something else of itself is another one */
	ed->t.all = ed->fix;
}

static void set_map_csum(struct owfs_super *sb, void *ctx)
{
	sb->root[0].map.csum = *(uint64_t *)ctx;
}

static void edit_map(struct image *im, struct edit *ed, bool bitmap)
{
	unsigned char node[4096], bits[4096];
	struct owfs_map_entry *e = (void *)(node + HDR_SIZE);
	struct owfs_geo geo;
	uint64_t at, at_bits, csum;

	assert_int_equal(owfs_geo_init(&geo, ed->sb.blocksize, ed->sb.nblocks),
			 0);
	at = owfs_geo_map_slot(&geo, 1, 0, ed->sb.root[0].map.slot) * 4096;
	emubd_peek(im->e, node, sizeof(node), at);
	at_bits = owfs_geo_bitmap_slot(&geo, 0, e->slot) * 4096;
	emubd_peek(im->e, bits, sizeof(bits), at_bits);
	change(ed, bitmap ? bits : node);
	if (ed->fix && bitmap)
		e->csum = cpu_to_le64(block_seal(im, bits));
	if (ed->fix) {
		csum = block_seal(im, node);
		super_edit(im, set_map_csum, &csum);
	}
	emubd_poke(im->e, bits, sizeof(bits), at_bits);
	emubd_poke(im->e, node, sizeof(node), at);
}

/* The bytes to change in a leaf; NULL: there are none. */
static unsigned char *find_item(unsigned char *node, struct edit *ed)
{
	unsigned int i;

	if (ed->f->where == IN_LEAF)
		return node;
	for (i = 0; i < owfs_node_nitems(node); i++) {
		struct owfs_key key = owfs_leaf_key(node, i);

		if (owfs_key_type(&key) != ed->f->type ||
		    owfs_leaf_len(node, i) < ed->f->off + ed->f->len)
			continue;
		touch(&ed->t, owfs_key_ino(&key));
		return node + ((const unsigned char *)owfs_leaf_val(node, i) -
			       node);
	}
	return NULL;
}

/* In the first leaf that has what is to be changed; the root leads to it. */
static void edit_leaf(struct image *im, unsigned char *root, struct edit *ed)
{
	unsigned char leaf[4096], *at = NULL;
	unsigned int i;

	assert_int_equal(owfs_node_level(root), 1);
	for (i = 0; i < owfs_node_nitems(root) && !at; i++) {
		struct owfs_ptr ptr = owfs_branch_ptr(root, i);

		emubd_peek(im->e, leaf, sizeof(leaf), ptr.addr[0] * 4096);
		at = find_item(leaf, ed);
		if (!at)
			continue;
		change(ed, at);
		if (ed->fix)
			owfs_branch_set_csum(root, i, block_seal(im, leaf));
		emubd_poke(im->e, leaf, sizeof(leaf), ptr.addr[0] * 4096);
	}
	if (ed->f->where == IN_LEAF)
		ed->t.all = ed->fix;
	else
		assert_non_null(at);
}

static void edit_node(struct image *im, unsigned char *node, void *ctx)
{
	struct edit *ed = ctx;

	if (ed->f->where != IN_ROOT) {
		edit_leaf(im, node, ed);
		return;
	}
	ed->t.all = ed->fix;
	change(ed, node);
}

static void edit_root(struct image *im, struct edit *ed)
{
	unsigned char node[4096];
	uint64_t pos = ed->sb.root[0].tree.addr[0] * 4096;

	if (ed->fix) {
		root_edit(im, edit_node, ed);
		return;
	}
	emubd_peek(im->e, node, sizeof(node), pos);
	edit_node(im, node, ed);
	if (ed->f->where == IN_ROOT)
		emubd_poke(im->e, node, sizeof(node), pos);
}

static void edit(struct image *im, struct edit *ed)
{
	struct owfs_slots slots;

	assert_int_equal(owfs_super_read(emubd_blkdev(im->e), &ed->sb, &slots,
					 NULL), 0);
	im->sb = ed->sb;
	switch (ed->f->where) {
	case IN_SUPER:
		edit_super(im, ed);
		break;
	case IN_MAP:
	case IN_BITMAP:
		edit_map(im, ed, ed->f->where == IN_BITMAP);
		break;
	default:
		edit_root(im, ed);
	}
}

/* ------------------------------------------------------------------- cases */

static void run_case(const struct scene *s, const struct field *f,
		     unsigned int verb, bool fix, unsigned int *whole)
{
	struct edit ed = { .f = f, .verb = verb, .fix = fix,
			   .rng = { .s = 7 + verb } };
	struct report text = { 0 };
	struct image im;
	const char *wrong;
	bool ok;

	image_fork(&im, &s->im);
	edit(&im, &ed);
	wrong = judge(&im, s, &text, &ed.t, &ok);
	if (wrong)
		fail_msg("%s, %s, checksum %s: %s\n%s", f->name, verbs[verb],
			 fix ? "fixed" : "left", wrong,
			 text.text ? text.text : "");
	*whole += ok;
	free(text.text);
	image_free(&im);
}

static void run_all(const struct scene *s)
{
	const char *only = getenv("FIELDS_ONLY");
	unsigned int i, verb, n = 0, whole = 0;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (only && !strstr(fields[i].name, only))
			continue;
		for (verb = 0; verb < ARRAY_SIZE(verbs); verb++) {
			run_case(s, &fields[i], verb, false, &whole);
			run_case(s, &fields[i], verb, true, &whole);
			n += 2;
		}
	}
	print_message("%u of %u whole again\n", whole, n);
}

static void test_each_field_of_a_tree_of_a_few_leaves(void **state)
{
	(void)state;
	run_all(&plain);
}

static void test_each_field_where_nodes_have_two_copies(void **state)
{
	(void)state;
	run_all(&dup);
}

static int setup(void **state)
{
	(void)state;
	image_make(&plain.im, 4096, 1);
	scene_learn(&plain);
	image_make(&dup.im, 4096, 2);
	scene_learn(&dup);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	image_free(&plain.im);
	image_free(&dup.im);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field_of_a_tree_of_a_few_leaves),
		cmocka_unit_test(test_each_field_where_nodes_have_two_copies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

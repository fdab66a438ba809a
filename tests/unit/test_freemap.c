/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The space map on the device: what is written where, and that every check of
 * what is read trips.
 */
#include "alloc_rig.h"

#include "base/checksum.h"
#include "space/bitmap.h"

#define GROUP	32256u
#define NGROUPS	300u	/* two levels, three nodes on the lower */
#define VICTIM	130u	/* its bitmap, or the level 1 node above it, is damaged */
#define NODE	126u	/* first group of that node */
#define BYTES	4096u

struct map_rig {
	struct rig r;
	struct owfs_freemap *fm;
	owfs_gen_t mend;
	uint64_t bits[GROUP / 64], pins[GROUP / 64];
};

static void map_open(struct map_rig *m)
{
	struct owfs_freemap_param p = {
		.bd = emubd_blkdev(m->r.emu), .geo = &m->r.geo,
		.seed = RIG_SEED, .cur = m->r.cur, .prev = m->r.prev,
		.mend = m->mend, .msg = &m->r.msg };

	assert_int_equal(owfs_freemap_open(&m->fm, &p), 0);
}

/* A map of three commits: groups 0, 130 and 299 have used blocks. */
static void map_init(struct map_rig *m)
{
	memset(m, 0, sizeof(*m));
	rig_init(&m->r, 4096, NGROUPS * (uint64_t)GROUP - 1000, 384);
	rig_use(&m->r, 500, 10);
	rig_commit(&m->r);
	rig_use(&m->r, VICTIM * (uint64_t)GROUP + 600, 20);
	rig_use(&m->r, 299 * (uint64_t)GROUP + 600, 20);
	rig_commit(&m->r);
	rig_use(&m->r, VICTIM * (uint64_t)GROUP + 100, 20);
	rig_commit(&m->r);
	m->r.quiet = true;
	m->r.nmsg = 0;
	map_open(m);
}

static void map_fini(struct map_rig *m)
{
	owfs_freemap_close(m->fm);
	rig_fini(&m->r);
}

static int map_load(struct map_rig *m, uint64_t g)
{
	return owfs_freemap_load(m->fm, g, m->bits, m->pins);
}

/* ------------------------------------------------------------------- damage */

/* One block of the map in the hands of whoever made the image. */
struct block {
	unsigned int level;
	uint64_t first;
	owfs_fsblock_t blk;
	union {
		struct owfs_block_hdr hdr;
		unsigned char data[BYTES];
	};
};

static struct owfs_map_entry *entries(struct block *b)
{
	return (struct owfs_map_entry *)(b->data + sizeof(b->hdr));
}

static void read_block(struct map_rig *m, struct block *b, unsigned int level,
		       uint64_t first, unsigned int slot)
{
	b->level = level;
	b->first = first;
	b->blk = owfs_geo_map_slot(&m->r.geo, level, first, slot);
	emubd_peek(m->r.emu, b->data, BYTES, b->blk * BYTES);
}

/* Write it back with a checksum that fits; which it is comes back. */
static uint64_t write_block(struct map_rig *m, struct block *b)
{
	uint64_t sum;

	b->hdr.bh_csum = cpu_to_le64(0);
	sum = owfs_checksum(RIG_SEED, b->data, BYTES);
	b->hdr.bh_csum = cpu_to_le64(sum);
	emubd_poke(m->r.emu, b->data, BYTES, b->blk * BYTES);
	return sum;
}

/* The root, the node above VICTIM, VICTIM's bitmap, as the newest commit has them. */
struct chain {
	struct block top, node, bitmap;
};

static void read_chain(struct map_rig *m, struct chain *c)
{
	read_block(m, &c->top, 2, 0, m->r.cur.slot);
	read_block(m, &c->node, 1, NODE, entries(&c->top)[1].slot);
	read_block(m, &c->bitmap, 0, VICTIM,
		   entries(&c->node)[VICTIM - NODE].slot);
}

/* With all checksums right, from the bottom up. */
static void write_chain(struct map_rig *m, struct chain *c)
{
	entries(&c->node)[VICTIM - NODE].csum =
		cpu_to_le64(write_block(m, &c->bitmap));
	entries(&c->top)[1].csum = cpu_to_le64(write_block(m, &c->node));
	m->r.cur.csum = write_block(m, &c->top);
	m->r.prev.gen = 0;	/* only the newest commit matters here */
}

struct damage {
	const char *says;
	void (*make)(struct map_rig *m, struct chain *c);
};

static void header_magic(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.hdr.bh_magic = cpu_to_le32(OWFS_MAP_MAGIC);
}

static void node_magic(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->node.hdr.bh_magic = cpu_to_le32(OWFS_BITMAP_MAGIC);
}

static void header_level(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->node.hdr.bh_level = cpu_to_le16(2);
}

static void header_addr(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.hdr.bh_addr[0] = cpu_to_le64(c->bitmap.blk + 1);
}

static void header_gen(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.hdr.bh_gen = cpu_to_le64(1);
}

static void header_owner(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->node.hdr.bh_owner = cpu_to_le64(0);
}

static void header_nitems(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->node.hdr.bh_nitems = cpu_to_le16(1);
}

static void header_second_addr(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.hdr.bh_addr[1] = cpu_to_le64(9);
}

static void header_low(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.hdr.bh_low = cpu_to_le32(1);
}

static void header_zero32(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->node.hdr.bh_zero32 = cpu_to_le32(1);
}

static void header_zero64(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.hdr.bh_zero64 = cpu_to_le64(1);
}

static void fixed_bit(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.data[sizeof(c->bitmap.hdr)] &= ~2;
}

static void count_of_bits(struct map_rig *m, struct chain *c)
{
	(void)m;
	c->bitmap.data[sizeof(c->bitmap.hdr) + 1000] |= 1;
}

/* The same number of free blocks, another longest run. */
static void run_of_bits(struct map_rig *m, struct chain *c)
{
	unsigned char *bits = c->bitmap.data + sizeof(c->bitmap.hdr);

	(void)m;
	bits[2000] |= 1;
	bits[600 / 8] &= ~(1 << 600 % 8);
}

static struct owfs_map_entry *victim_entry(struct chain *c)
{
	return &entries(&c->node)[VICTIM - NODE];
}

static void entry_gen_above(struct map_rig *m, struct chain *c)
{
	victim_entry(c)->gen = cpu_to_le64(m->r.gen + 100);
}

static void entry_gen_none(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->gen = cpu_to_le64(0);
}

static void entry_slot(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->slot = 3;
}

static void entry_padding_first(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->zero[0] = 1;
}

static void entry_padding_middle(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->zero[1] = 0x80;
}

static void entry_padding_last(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->zero[2] = 1;
}

static void entry_free_above(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->free = cpu_to_le64(GROUP - 2);
}

static void entry_run_above_free(struct map_rig *m, struct chain *c)
{
	struct owfs_map_entry *e = victim_entry(c);

	(void)m;
	e->maxrun = cpu_to_le32(le64_to_cpu(e->free) + 1);
}

static void entry_run_none(struct map_rig *m, struct chain *c)
{
	(void)m;
	victim_entry(c)->maxrun = cpu_to_le32(0);
}

static void entry_run_above_group(struct map_rig *m, struct chain *c)
{
	(void)m;
	entries(&c->top)[1].maxrun = cpu_to_le32(GROUP);
}

static void entry_sum(struct map_rig *m, struct chain *c)
{
	struct owfs_map_entry *e = victim_entry(c);

	(void)m;
	e->free = cpu_to_le64(le64_to_cpu(e->free) - 1);
}

static void entry_longest(struct map_rig *m, struct chain *c)
{
	struct owfs_map_entry *e = &entries(&c->top)[1];

	(void)m;
	e->maxrun = cpu_to_le32(le32_to_cpu(e->maxrun) - 1);
}

static void root_sum(struct map_rig *m, struct chain *c)
{
	(void)c;
	m->r.cur.free_blocks--;
}

static void entry_past_end(struct map_rig *m, struct chain *c)
{
	(void)m;
	entries(&c->top)[3] = entries(&c->top)[1];	/* groups from 378 on */
}

static const struct damage damages[] = {
	{ "wrong magic", header_magic },
	{ "wrong magic", node_magic },
	{ "wrong level", header_level },
	{ "meant for another place", header_addr },
	{ "wrong generation", header_gen },
	{ "belongs to another group", header_owner },
	{ "header fields not zero", header_nitems },
	{ "header fields not zero", header_second_addr },
	{ "header fields not zero", header_low },
	{ "header fields not zero", header_zero32 },
	{ "header fields not zero", header_zero64 },
	{ "fixed block marked free", fixed_bit },
	{ "wrong number of free blocks", count_of_bits },
	{ "wrong longest free run", run_of_bits },
	{ "impossible generation", entry_gen_above },
	{ "impossible generation", entry_gen_none },
	{ "names no slot", entry_slot },
	{ "padding not zero", entry_padding_first },
	{ "padding not zero", entry_padding_middle },
	{ "padding not zero", entry_padding_last },
	{ "more free blocks than there are", entry_free_above },
	{ "impossible free run", entry_run_above_free },
	{ "impossible free run", entry_run_none },
	{ "impossible free run", entry_run_above_group },
	{ "do not add up", entry_sum },
	{ "do not add up", root_sum },
	{ "longest free run below is another", entry_longest },
	{ "past the last group", entry_past_end },
};

static void test_freemap_every_check_trips(void **state)
{
	static struct chain c;
	struct map_rig m;
	unsigned int i;
	int ret;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(damages); i++) {
		map_init(&m);
		read_chain(&m, &c);
		damages[i].make(&m, &c);
		write_chain(&m, &c);
		owfs_freemap_close(m.fm);
		map_open(&m);
		ret = map_load(&m, VICTIM);
		if (ret != -EFSCORRUPTED || m.r.nmsg != 1 ||
		    !strstr(m.r.last, damages[i].says))
			fail_msg("%s (%u): %d, %u messages: %s",
				 damages[i].says, i, ret, m.r.nmsg, m.r.last);
		assert_int_equal(map_load(&m, VICTIM), -EFSCORRUPTED);
		map_fini(&m);
	}
}

static void test_freemap_undamaged_chain_is_taken(void **state)
{
	static struct chain c;
	struct map_rig m;

	(void)state;
	map_init(&m);
	read_chain(&m, &c);
	write_chain(&m, &c);
	owfs_freemap_close(m.fm);
	map_open(&m);
	assert_int_equal(map_load(&m, VICTIM), 0);
	assert_true(owfs_bitmap_is_set(m.bits, 100, 20));
	assert_false(owfs_bitmap_test(m.bits, 120));
	assert_int_equal(m.r.nmsg, 0);
	map_fini(&m);
}

static void test_freemap_back_area_and_tail_must_be_set(void **state)
{
	struct block top, node, last;
	struct map_rig m;
	uint32_t bit[2];
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		map_init(&m);
		bit[0] = GROUP - 1000 - 1;	/* back area */
		bit[1] = GROUP - 1;		/* past the end */
		read_block(&m, &top, 2, 0, m.r.cur.slot);
		read_block(&m, &node, 1, 252, entries(&top)[2].slot);
		read_block(&m, &last, 0, 299, entries(&node)[47].slot);
		last.data[sizeof(last.hdr) + bit[i] / 8] &= ~(1 << bit[i] % 8);
		entries(&node)[47].csum = cpu_to_le64(write_block(&m, &last));
		entries(&top)[2].csum = cpu_to_le64(write_block(&m, &node));
		m.r.cur.csum = write_block(&m, &top);
		m.r.prev.gen = 0;
		owfs_freemap_close(m.fm);
		map_open(&m);
		assert_int_equal(map_load(&m, 299), -EFSCORRUPTED);
		assert_non_null(strstr(m.r.last, "past the end marked free"));
		map_fini(&m);
	}
}

static void test_freemap_any_flipped_bit_is_a_bad_checksum(void **state)
{
	struct chain c;
	struct map_rig m;
	unsigned int i;

	(void)state;
	srandom(3);
	map_init(&m);
	read_chain(&m, &c);
	for (i = 0; i < 500; i++) {
		owfs_fsblock_t blk[] = { c.top.blk, c.node.blk, c.bitmap.blk };
		/* each byte of the header once, the sum's own among them */
		uint64_t at = i / 3 < sizeof(c.top.hdr) ? i / 3 :
			      random() % BYTES;
		uint64_t pos = blk[i % 3] * BYTES + at;
		unsigned int bit = random() % 8;

		emubd_flip_bit(m.r.emu, pos, bit);
		owfs_freemap_close(m.fm);
		map_open(&m);
		m.r.nmsg = 0;
		assert_int_equal(map_load(&m, VICTIM), -EFSBADCRC);
		assert_int_equal(m.r.nmsg, 1);
		emubd_flip_bit(m.r.emu, pos, bit);
	}
	map_fini(&m);
}

static void test_freemap_lost_write_shows(void **state)
{
	struct chain c;
	struct map_rig m;
	unsigned char old[BYTES];
	unsigned int slot;

	(void)state;
	map_init(&m);
	read_chain(&m, &c);
	/* an older version of the same bitmap, perfect in itself */
	for (slot = 0; slot < 3; slot++) {
		emubd_peek(m.r.emu, old, BYTES,
			   owfs_geo_bitmap_slot(&m.r.geo, VICTIM, slot) * BYTES);
		if (slot != victim_entry(&c)->slot && old[0])
			break;
	}
	assert_true(slot < 3);
	emubd_poke(m.r.emu, old, BYTES, c.bitmap.blk * BYTES);
	assert_int_equal(map_load(&m, VICTIM), -EFSBADCRC);
	assert_non_null(strstr(m.r.last, "not the block that was written last"));
	map_fini(&m);
}

static void test_freemap_damaged_commit_before_is_no_guess(void **state)
{
	struct map_rig m;
	struct block top;

	(void)state;
	map_init(&m);
	read_block(&m, &top, 2, 0, m.r.prev.slot);
	emubd_flip_bit(m.r.emu, top.blk * BYTES + 100, 1);
	assert_int_equal(map_load(&m, VICTIM), -EFSBADCRC);
	/* once it does not count any more, nobody looks */
	owfs_freemap_forget_prev(m.fm);
	assert_int_equal(map_load(&m, VICTIM), 0);
	map_fini(&m);
}

/* The map as it was before, read without the block that @c says is gone. */
static void read_without(struct map_rig *m, const struct block *gone)
{
	static const unsigned char zeroes[BYTES];

	emubd_poke(m->r.emu, zeroes, BYTES, gone->blk * BYTES);
	owfs_freemap_close(m->fm);
	m->r.prev.gen = 0;
	m->mend = m->r.gen - 1;
	map_open(m);
}

static void test_freemap_lost_nodes_are_made_of_what_is_below(void **state)
{
	struct chain c;
	struct map_rig m;
	unsigned int lost;

	(void)state;
	for (lost = 0; lost < 2; lost++) {
		map_init(&m);
		read_chain(&m, &c);
		read_without(&m, lost ? &c.node : &c.top);
		assert_int_equal(map_load(&m, VICTIM), 0);
		assert_true(owfs_bitmap_is_set(m.bits, 100, 20));
		assert_true(owfs_bitmap_is_set(m.bits, 600, 20));
		assert_true(owfs_bitmap_is_clear(m.bits, 120, 480));
		/* a neighbour was never written, but only its entry said so */
		assert_int_equal(map_load(&m, VICTIM + 1),
				 lost ? -EFSCORRUPTED : 0);
		/* what hangs elsewhere is as it was */
		assert_int_equal(map_load(&m, 299), 0);
		assert_true(owfs_bitmap_is_set(m.bits, 600, 20));
		map_fini(&m);
	}
}

/* Nothing younger than the commit that is mended is taken for a part of it. */
static void test_freemap_mending_passes_over_what_came_later(void **state)
{
	struct chain c;
	struct map_rig m;

	(void)state;
	map_init(&m);
	read_chain(&m, &c);
	owfs_freemap_close(m.fm);
	map_open(&m);
	read_without(&m, &c.node);
	owfs_freemap_close(m.fm);
	m.mend--;	/* the commit before, which had no blocks at 100 */
	map_open(&m);
	assert_int_equal(map_load(&m, VICTIM), 0);
	assert_true(owfs_bitmap_is_set(m.bits, 600, 20));
	assert_true(owfs_bitmap_is_clear(m.bits, 100, 20));
	map_fini(&m);
}

static void test_freemap_random_garbage_never_passes(void **state)
{
	struct chain c;
	struct map_rig m;
	unsigned int i;

	(void)state;
	map_init(&m);
	read_chain(&m, &c);
	m.r.prev.gen = 0;
	for (i = 0; i < 200; i++) {	/* behind checksums that fit */
		struct block *b = i % 2 ? &c.node : &c.top;
		struct block saved = *b;

		emubd_garbage(m.r.emu, b->blk * BYTES + 64, BYTES - 64, i);
		emubd_peek(m.r.emu, b->data, BYTES, b->blk * BYTES);
		write_chain(&m, &c);
		owfs_freemap_close(m.fm);
		map_open(&m);
		assert_int_not_equal(map_load(&m, VICTIM), 0);
		*b = saved;
	}
	map_fini(&m);
}

/* -------------------------------------------------------------------- writing */

static void test_freemap_never_written_costs_nothing(void **state)
{
	struct map_rig m;
	uint64_t reads;
	uint32_t run;
	uint64_t g;

	(void)state;
	map_init(&m);
	reads = emubd_count(m.r.emu, EMUBD_READ);
	assert_int_equal(map_load(&m, 140), 0);
	/* root and one node, each as two commits have it; no bitmap */
	assert_true(emubd_count(m.r.emu, EMUBD_READ) - reads <= 4);
	assert_true(owfs_bitmap_is_clear(m.bits, 3, GROUP - 3));
	reads = emubd_count(m.r.emu, EMUBD_READ);
	for (g = 127; g < 252; g++)
		if (g != VICTIM)
			assert_int_equal(map_load(&m, g), 0);
	assert_int_equal(owfs_freemap_next(m.fm, 127, GROUP - 3, &g, &run), 0);
	assert_int_equal(g, 127);
	assert_int_equal(emubd_count(m.r.emu, EMUBD_READ), reads);
	map_fini(&m);
}

static void test_freemap_next_passes_over_full_groups(void **state)
{
	struct map_rig m;
	uint32_t run;
	uint64_t g;

	(void)state;
	map_init(&m);
	assert_int_equal(owfs_freemap_next(m.fm, VICTIM, GROUP - 3, &g, &run), 0);
	assert_int_equal(g, VICTIM + 1);
	assert_int_equal(run, GROUP - 3);
	assert_int_equal(owfs_freemap_next(m.fm, VICTIM, 1, &g, &run), 0);
	assert_int_equal(g, VICTIM);
	assert_int_equal(run, GROUP - 620);
	assert_int_equal(owfs_freemap_next(m.fm, 0, GROUP - 2, &g, &run), -ENOENT);
	assert_int_equal(owfs_freemap_next(m.fm, 299, GROUP - 3, &g, &run),
			 -ENOENT);
	assert_int_equal(owfs_freemap_next(m.fm, NGROUPS, 1, &g, &run), -ENOENT);
	map_fini(&m);
}

static void test_freemap_store_is_stable(void **state)
{
	struct owfs_map_root root;
	struct map_rig m;
	uint64_t hash;

	(void)state;
	map_init(&m);
	hash = emubd_hash(m.r.emu);
	rig_seal_store(&m.r, &root);	/* nothing has changed */
	assert_true(hash == emubd_hash(m.r.emu));
	assert_int_equal(root.gen, m.r.cur.gen);
	assert_int_equal(root.freed_blocks, 0);
	rig_durable(&m.r, &root);
	map_fini(&m);
}

static void test_freemap_writes_only_what_changed_and_above(void **state)
{
	struct map_rig m;
	uint64_t writes;

	(void)state;
	map_init(&m);
	writes = emubd_count(m.r.emu, EMUBD_WRITE);
	rig_use(&m.r, VICTIM * (uint64_t)GROUP + 5000, 1);
	rig_commit(&m.r);
	assert_int_equal(emubd_count(m.r.emu, EMUBD_WRITE) - writes, 3);
	map_fini(&m);
}

/* The blocks a commit writes are none that either durable commit names. */
static void test_freemap_no_slot_of_two_commits_is_overwritten(void **state)
{
	struct owfs_map_root root;
	struct owfs_alloc *al;
	struct owfs_alloc_param p;
	struct map_rig m;
	uint64_t bits[GROUP / 64];
	unsigned int i, j;

	(void)state;
	srandom(11);
	map_init(&m);
	m.r.quiet = false;
	for (i = 0; i < 400; i++) {
		for (j = random() % 4; j; j--)
			rig_use(&m.r, (random() % 3 * 126 + random() % 3) *
				(uint64_t)GROUP + 10000, 1);
		rig_seal_store(&m.r, &root);
		for (j = 0; j < 2; j++) {	/* either one, with all of it */
			p = rig_param(&m.r);
			p.cur = j ? m.r.prev : m.r.cur;
			p.prev.gen = 0;
			assert_int_equal(owfs_alloc_open(&al, &p), 0);
			for (uint64_t g = 0; g < NGROUPS; g += g % 126 == 2 ?
			     124 : 1)
				assert_int_equal(owfs_alloc_group_bits(
					al, g, bits, GROUP / 64), 0);
			owfs_alloc_close(al);
		}
		if (random() % 5)
			rig_durable(&m.r, &root);
		else
			rig_remount(&m.r);	/* it never came to be */
		if (random() % 7 == 0)
			rig_remount(&m.r);
	}
	assert_int_equal(m.r.nmsg, 0);
	map_fini(&m);
}

static void test_freemap_other_block_sizes_work(void **state)
{
	static const uint32_t sizes[] = { 8192, 16384, 32768, 65536 };
	owfs_fsblock_t a;
	struct rig r;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		rig_init(&r, sizes[i], 600000, 384);
		a = rig_use(&r, r.geo.group_blocks / 2, 1000);
		rig_commit(&r);
		assert_int_equal(owfs_alloc_free(r.al, a, 10), 0);
		rig_commit(&r);
		rig_remount(&r);
		assert_int_equal(rig_stat(&r).used, 990);
		assert_int_equal(owfs_alloc_load(r.al, a, 1000), 0);
		assert_int_equal(rig_stat(&r).pinned, 10);
		assert_int_equal(owfs_alloc_check(r.al), 0);
		rig_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freemap_undamaged_chain_is_taken),
		cmocka_unit_test(test_freemap_every_check_trips),
		cmocka_unit_test(test_freemap_back_area_and_tail_must_be_set),
		cmocka_unit_test(test_freemap_any_flipped_bit_is_a_bad_checksum),
		cmocka_unit_test(test_freemap_lost_write_shows),
		cmocka_unit_test(test_freemap_damaged_commit_before_is_no_guess),
		cmocka_unit_test(test_freemap_lost_nodes_are_made_of_what_is_below),
		cmocka_unit_test(test_freemap_mending_passes_over_what_came_later),
		cmocka_unit_test(test_freemap_random_garbage_never_passes),
		cmocka_unit_test(test_freemap_never_written_costs_nothing),
		cmocka_unit_test(test_freemap_next_passes_over_full_groups),
		cmocka_unit_test(test_freemap_store_is_stable),
		cmocka_unit_test(test_freemap_writes_only_what_changed_and_above),
		cmocka_unit_test(test_freemap_no_slot_of_two_commits_is_overwritten),
		cmocka_unit_test(test_freemap_other_block_sizes_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the cache believes of a device, and what it does with young buffers. */
#include "buf_fixture.h"

/* ------------------------------------------------------------ what is read */

static void test_good_block_is_read_once(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	struct owfs_buf *a, *b;

	assert_false(cached(f, &ptr));
	a = must_read(f, &ptr);
	b = must_read(f, &ptr);
	assert_ptr_equal(a, b);
	assert_int_equal(a->b_data[100], 'x');
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 1);
	assert_int_equal(verified, 1);
	assert_int_equal(f->messages, 0);
	assert_true(cached(f, &ptr));
	owfs_buf_put(a);
	owfs_buf_put(b);
}

static void break_magic(struct owfs_block_hdr *h) { h->bh_magic.raw ^= 1; }
static void break_addr0(struct owfs_block_hdr *h) { h->bh_addr[0].raw ^= 1; }
static void break_addr1(struct owfs_block_hdr *h) { h->bh_addr[1].raw ^= 1; }
static void break_gen(struct owfs_block_hdr *h) { h->bh_gen.raw ^= 1; }

/* With a checksum that is right, as only a made image has it. */
static void test_every_wrong_header_field_is_refused(void **state)
{
	static const struct {
		void (*fn)(struct owfs_block_hdr *hdr);
		const char *name;
	} bad[] = {
		{ break_magic, " magic=" }, { break_addr0, " addr0=" },
		{ break_addr1, " addr1=" }, { break_gen, " gen=" },
	};
	struct fixture *f = *state;
	_Alignas(8) unsigned char block[BS];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct owfs_ptr ptr = place(7 + i, 107 + i, 3);

		fill(block, &ptr, 'x');
		bad[i].fn((void *)block);
		seal(block, &ptr);
		store(f, block, ptr.addr[0]);
		store(f, block, ptr.addr[1]);
		assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
		assert_int_equal(f->messages, i + 1);	/* not once a copy */
		assert_non_null(strstr(f->last, bad[i].name));
		assert_false(cached(f, &ptr));
	}
	assert_int_equal(verified, 0);
}

static void test_every_flipped_bit_is_a_bad_checksum(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');

	for (unsigned int byte = 0; byte < BS; byte += byte < 64 ? 1 : 509) {
		emubd_flip_bit(f->e, 7 * BS + byte, byte);
		assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
		emubd_flip_bit(f->e, 7 * BS + byte, byte);
	}
	assert_int_equal(verified, 0);
	assert_int_equal(read_ret(f, &ptr), 0);
}

static void test_pointer_out_of_range_reads_nothing(void **state)
{
	static const owfs_fsblock_t bad[][2] = {
		{ 0, 0 }, { NBLOCKS, 0 }, { UINT64_MAX, 0 }, { 0, 7 },
		{ 7, NBLOCKS }, { 7, UINT64_MAX }, { 7, 7 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct owfs_ptr ptr = place(bad[i][0], bad[i][1], 1);

		assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
		assert_int_equal(f->messages, i + 1);
	}
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 0);
}

/* Half of a newer block over an older one, each sound by itself. */
static void test_torn_write_is_noticed(void **state)
{
	struct fixture *f = *state;
	unsigned char half[BS / 2];
	struct owfs_ptr old, ptr;

	ptr = make(f, 7, 0, 4, 'n');
	emubd_peek(f->e, half, sizeof(half), 7 * BS);
	old = make(f, 7, 0, 3, 'o');
	emubd_poke(f->e, half, sizeof(half), 7 * BS);
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_int_equal(read_ret(f, &old), -EFSBADCRC);
}

static void test_lost_write_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 4, 'n');

	make(f, 7, 0, 3, 'n');		/* what stood there before */
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_non_null(strstr(f->last, "sound block, but not the expected"));
}

static void test_misdirected_write_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 4, 'n');
	unsigned char other[BS];

	make(f, 8, 0, 4, 'n');
	emubd_peek(f->e, other, BS, 8 * BS);
	emubd_poke(f->e, other, BS, 7 * BS);
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_non_null(strstr(f->last, "addr=8"));
}

static void test_refused_structure_is_passed_up(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 8, 3, 'x');
	const int expect = -EFSCORRUPTED;
	struct owfs_buf *buf;

	assert_int_equal(owfs_buf_read(f->bc, &ptr, &ops, &expect, &buf),
			 -EFSCORRUPTED);
	assert_int_equal(verified, 1);	/* the other copy is the same */
	assert_int_equal(f->repairs, 0);
	assert_false(cached(f, &ptr));
	assert_int_equal(read_ret(f, &ptr), 0);
}

/* ------------------------------------------------------------- two copies */

static void test_second_copy_replaces_a_rotten_one(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 9, 3, 'x');
	struct owfs_buf *buf;

	emubd_flip_bit(f->e, 7 * BS + 2000, 1);
	buf = must_read(f, &ptr);
	assert_int_equal(buf->b_data[2000], 'x');
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->repairs, 1);
	assert_int_equal(f->repair_copy, 0);
	assert_int_equal(f->repair_err, -EFSBADCRC);
	owfs_buf_put(buf);
}

static void test_second_copy_replaces_an_unreadable_one(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 9, 3, 'x');

	emubd_fault_range(f->e, EMUBD_READ, 7 * BS, BS, EIO);
	assert_int_equal(read_ret(f, &ptr), 0);
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->repairs, 1);
	assert_int_equal(f->repair_err, -EIO);
}

static void test_two_bad_copies_are_an_error(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 9, 3, 'x');

	emubd_flip_bit(f->e, 7 * BS + 2000, 1);
	emubd_flip_bit(f->e, 9 * BS + 3000, 1);
	assert_int_equal(read_ret(f, &ptr), -EFSBADCRC);
	assert_int_equal(f->messages, 2);
	assert_int_equal(f->repairs, 0);

	emubd_fault_range(f->e, EMUBD_READ, 9 * BS, BS, EIO);
	assert_int_equal(read_ret(f, &ptr), -EIO);
	emubd_fault_range(f->e, EMUBD_READ, 7 * BS, BS, EIO);
	assert_int_equal(read_ret(f, &ptr), -EIO);
	assert_int_equal(f->repairs, 0);
}

static unsigned long count_table(struct fixture *f)
{
	unsigned long n;
	long before, after;

	rcu_read_lock();
	cds_lfht_count_nodes(f->bc->table, &before, &n, &after);
	rcu_read_unlock();
	return n;
}

static void test_failed_read_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');

	emubd_fault(f->e, EMUBD_READ, 1, 1, EIO);
	assert_int_equal(read_ret(f, &ptr), -EIO);
	assert_false(cached(f, &ptr));
	assert_int_equal(count_table(f), 0);
	assert_int_equal(read_ret(f, &ptr), 0);

	no_memory = true;
	ptr.addr[0] = 8;
	assert_int_equal(read_ret(f, &ptr), -ENOMEM);
	no_memory = false;
}

/* ---------------------------------------------------------- young buffers */

static void test_written_buffer_is_read_back(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *buf = make_young(f, 20, 30, 5, 'w');
	struct owfs_ptr ptr;

	seal_buf(buf);
	ptr = buf->b_ptr;
	assert_true(buf->b_csum_known);
	assert_int_equal(owfs_buf_write_many(f->bc, &buf, 1), 0);
	owfs_buf_clean(buf);
	owfs_buf_put(buf);

	for (int bad = 0; bad < 2; bad++) {	/* each copy by itself will do */
		open_cache(f, BIG);
		emubd_fault_range(f->e, EMUBD_READ, ptr.addr[bad] * BS, BS, EIO);
		buf = must_read(f, &ptr);
		assert_int_equal(buf->b_data[BS - 1], 'w');
		assert_int_equal(le16_to_cpu(owfs_buf_hdr(buf)->bh_level), 2);
		assert_int_equal(le64_to_cpu(owfs_buf_hdr(buf)->bh_owner), 1);
		owfs_buf_put(buf);
	}
}

static void test_young_buffer_needs_no_checksum(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *buf = make_young(f, 20, 0, 5, 'y'), *found;
	struct owfs_ptr ptr = buf->b_ptr;

	ptr.csum = 0xbad;
	found = must_read(f, &ptr);
	assert_ptr_equal(found, buf);
	owfs_buf_put(found);
	assert_true(cached(f, &ptr));

	ptr.birth = 4;			/* but nobody else may point there */
	assert_false(cached(f, &ptr));
	assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
	ptr = place(20, 21, 5);
	assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
	assert_int_equal(f->messages, 2);
	assert_int_equal(emubd_count(f->e, EMUBD_READ), 0);
	owfs_buf_put(buf);
}

static void test_clone_has_new_header_and_old_bytes(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'x');
	const owfs_fsblock_t addr[2] = { 11, 12 };
	struct owfs_buf *old = must_read(f, &ptr), *new;
	struct owfs_block_hdr *hdr;

	new = owfs_buf_clone(old, addr, 9);
	assert_false(IS_ERR(new));
	hdr = owfs_buf_hdr(new);
	assert_int_equal(le32_to_cpu(hdr->bh_magic), MAGIC);
	assert_int_equal(le64_to_cpu(hdr->bh_addr[0]), 11);
	assert_int_equal(le64_to_cpu(hdr->bh_addr[1]), 12);
	assert_int_equal(le64_to_cpu(hdr->bh_gen), 9);
	assert_int_equal(le64_to_cpu(hdr->bh_csum), 0);
	assert_memory_equal(new->b_data + sizeof(*hdr),
			    old->b_data + sizeof(*hdr), BS - sizeof(*hdr));
	assert_true(owfs_buf_is_young(new, 9));
	assert_false(owfs_buf_is_young(old, 9));
	assert_true(cached(f, &ptr));
	owfs_buf_put(old);
	owfs_buf_put(new);
}

/* The block was freed, and generations later it is a node again. */
static void test_new_buffer_replaces_history(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr ptr = make(f, 7, 0, 3, 'o');
	struct owfs_buf *old = must_read(f, &ptr), *new, *found;

	new = make_young(f, 7, 0, 9, 'n');
	found = must_read(f, &new->b_ptr);
	assert_ptr_equal(found, new);
	assert_int_equal(old->b_data[100], 'o');	/* the reader's is whole */
	assert_int_equal(read_ret(f, &ptr), -EFSCORRUPTED);
	owfs_buf_put(old);
	assert_true(cached(f, &new->b_ptr));
	owfs_buf_put(found);
	owfs_buf_put(new);
}

static void test_clean_buffer_of_another_pointer_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct owfs_ptr old_ptr = make(f, 7, 0, 3, 'o'), ptr;
	struct owfs_buf *old = must_read(f, &old_ptr), *new;

	ptr = make(f, 7, 0, 4, 'n');
	assert_false(cached(f, &ptr));
	new = must_read(f, &ptr);
	assert_ptr_not_equal(old, new);
	assert_int_equal(new->b_data[100], 'n');
	assert_int_equal(old->b_data[100], 'o');
	owfs_buf_put(old);
	assert_true(cached(f, &ptr));
	assert_int_equal(read_ret(f, &old_ptr), -EFSBADCRC);

	/* a pointer that lies costs the cache a read, and nobody the block */
	assert_int_equal(read_ret(f, &ptr), 0);
	old_ptr = ptr;
	old_ptr.csum ^= 1;
	assert_int_equal(read_ret(f, &old_ptr), -EFSBADCRC);
	assert_int_equal(new->b_data[100], 'n');
	assert_int_equal(read_ret(f, &ptr), 0);
	owfs_buf_put(new);
}

static void test_forgotten_buffer_is_gone_and_never_written(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *buf[2] = { make_young(f, 20, 0, 5, 'f'), NULL };
	struct owfs_ptr ptr = buf[0]->b_ptr;

	owfs_buf_forget(buf[0]);
	assert_false(cached(f, &ptr));
	buf[1] = make_young(f, 20, 0, 5, 'g');	/* the block is used again */
	assert_int_equal(f->messages, 0);
	assert_true(cached(f, &ptr));
	seal_buf(buf[0]);
	seal_buf(buf[1]);
	ptr = buf[1]->b_ptr;
	assert_int_equal(owfs_buf_write_many(f->bc, buf, 2), 0);
	assert_int_equal(emubd_count(f->e, EMUBD_WRITE), 1);
	owfs_buf_put(buf[0]);
	owfs_buf_put(buf[1]);
	open_cache(f, BIG);
	assert_int_equal(read_ret(f, &ptr), 0);
}

static void test_block_given_out_twice_is_named(void **state)
{
	struct fixture *f = *state;
	struct owfs_buf *a = make_young(f, 20, 0, 5, 'a');
	struct owfs_buf *b = make_young(f, 20, 0, 5, 'b');

	assert_int_equal(f->messages, 1);
	assert_non_null(strstr(f->last, "given out twice"));
	owfs_buf_put(a);
	owfs_buf_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		buf_test(test_good_block_is_read_once),
		buf_test(test_every_wrong_header_field_is_refused),
		buf_test(test_every_flipped_bit_is_a_bad_checksum),
		buf_test(test_pointer_out_of_range_reads_nothing),
		buf_test(test_torn_write_is_noticed),
		buf_test(test_lost_write_is_noticed),
		buf_test(test_misdirected_write_is_noticed),
		buf_test(test_refused_structure_is_passed_up),
		buf_test(test_second_copy_replaces_a_rotten_one),
		buf_test(test_second_copy_replaces_an_unreadable_one),
		buf_test(test_two_bad_copies_are_an_error),
		buf_test(test_failed_read_leaves_nothing_behind),
		buf_test(test_written_buffer_is_read_back),
		buf_test(test_young_buffer_needs_no_checksum),
		buf_test(test_clone_has_new_header_and_old_bytes),
		buf_test(test_new_buffer_replaces_history),
		buf_test(test_clean_buffer_of_another_pointer_is_read_again),
		buf_test(test_forgotten_buffer_is_gone_and_never_written),
		buf_test(test_block_given_out_twice_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

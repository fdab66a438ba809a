/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Access control lists: what is one, and what it makes of modes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "object/acl.h"

#define NO_ID	UINT32_MAX

/*
 * A list from text: "u7 u1000:5 g5 m7 o0"; without a number the owner, the
 * group; m the mask, o the others.
 */
static void acl_of(struct owfs_acl *acl, const char *text)
{
	struct owfs_acl_entry *e = acl->entry;
	unsigned int id, perm;
	uint16_t tag;
	char what;
	int n;

	memset(acl, 0, sizeof(*acl));
	acl->version = cpu_to_le32(OWFS_ACL_VERSION);
	for (; *text; text += n + strspn(text + n, " "), e++) {
		id = NO_ID;
		n = 0;
		if (sscanf(text, "%c%u:%u%n", &what, &id, &perm, &n) < 3 || !n) {
			id = NO_ID;
			assert_int_equal(sscanf(text, "%c%u%n", &what, &perm,
						&n), 2);
		}
		tag = what == 'u' && id == NO_ID ? OWFS_ACL_USER_OBJ :
		      what == 'u' ? OWFS_ACL_USER :
		      what == 'g' && id == NO_ID ? OWFS_ACL_GROUP_OBJ :
		      what == 'g' ? OWFS_ACL_GROUP :
		      what == 'm' ? OWFS_ACL_MASK : OWFS_ACL_OTHER;
		*e = (struct owfs_acl_entry) {
			cpu_to_le16(tag), cpu_to_le16((uint16_t)perm),
			cpu_to_le32(id),
		};
	}
	acl->len = (size_t)((unsigned char *)e - acl->bytes);
}

static int check(const char *text)
{
	struct owfs_acl acl;

	acl_of(&acl, text);
	return owfs_acl_check(acl.bytes, acl.len);
}

static void is(const struct owfs_acl *acl, const char *text)
{
	struct owfs_acl want;

	acl_of(&want, text);
	assert_int_equal(acl->len, want.len);
	assert_memory_equal(acl->bytes, want.bytes, want.len);
}

static void test_lists_that_are_ones(void **state)
{
	(void)state;
	assert_int_equal(check("u7 g5 o0"), 0);
	assert_int_equal(check("u7 g5 m7 o0"), 0);
	assert_int_equal(check("u7 u0:1 u5:3 g5 m7 o0"), 0);
	assert_int_equal(check("u7 u5:3 u0:1 g5 g9:0 g1:7 m0 o7"), 0);
	assert_int_equal(check("u0 g0 g0:0 m0 o0"), 0);
}

static void test_lists_that_are_none(void **state)
{
	static const char *const bad[] = {
		"", "u7", "u7 g5", "g5 o0", "u7 o0", "u7 g5 o0 o0",
		"u7 u6 g5 o0", "u7 g5 g5 o0", "u7 g5 m7 m7 o0",
		"g5 u7 o0", "o0 u7 g5", "u7 g5 o0 m7", "u7 o0 g5",
		"u7 u1:7 g5 o0", "u7 g5 g1:7 o0",	/* a name, no mask */
		"u7 g5 u1:7 m7 o0", "u7 g1:7 g5 m7 o0", "u7 g5 m7 g1:1 o0",
		"u8 g5 o0", "u7 u1:8 g5 m7 o0", "u7 g5 o65535",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (check(bad[i]) != -EINVAL)
			fail_msg("passes: \"%s\"", bad[i]);
}

static void test_bytes_of_any_kind_are_refused_or_good(void **state)
{
	unsigned char bytes[OWFS_ACL_SIZE_MAX + 16];
	struct owfs_acl acl;
	unsigned int i, r = 1;
	size_t len;

	(void)state;
	for (i = 0; i < 200000; i++) {
		acl_of(&acl, "u7 u1:7 g5 g7:1 m7 o0");
		len = acl.len;
		memcpy(bytes, acl.bytes, len);
		r = r * 1664525 + 1013904223;
		bytes[(r >> 8) % len] ^= (unsigned char)(1u << (r >> 29));
		if (r & 64)
			len -= (r >> 20) % 12;
		if (owfs_acl_from_bytes(&acl, bytes, len))
			continue;
		assert_int_equal(owfs_acl_check(acl.bytes, acl.len), 0);
		assert_true(owfs_acl_mode(&acl, 0) <= 0777);
	}
}

static void test_length_and_version(void **state)
{
	unsigned char bytes[OWFS_ACL_SIZE_MAX + 4] = { 2 };
	struct owfs_acl acl, got;
	size_t i;

	(void)state;
	acl_of(&acl, "u7 g5 o0");
	for (i = 0; i < acl.len; i++) {
		assert_int_equal(owfs_acl_check(acl.bytes, i), -EINVAL);
		assert_int_equal(owfs_acl_from_bytes(&got, acl.bytes, i),
				 -EINVAL);
	}
	assert_int_equal(owfs_acl_from_bytes(&got, bytes, sizeof(bytes)),
			 -E2BIG);
	acl.version = cpu_to_le32(1);
	assert_int_equal(owfs_acl_check(acl.bytes, acl.len), -EINVAL);
}

/* Owner, @n - 4 named groups, the group's, mask, others. */
static size_t list_of(struct owfs_acl_value *v, size_t n)
{
	size_t i;

	v->version = cpu_to_le32(OWFS_ACL_VERSION);
	for (i = 0; i < n; i++)
		v->entry[i] = (struct owfs_acl_entry) {
			cpu_to_le16(i == 0 ? OWFS_ACL_USER_OBJ :
				    i == 1 ? OWFS_ACL_GROUP_OBJ :
				    i == n - 2 ? OWFS_ACL_MASK :
				    i == n - 1 ? OWFS_ACL_OTHER :
				    OWFS_ACL_GROUP),
			cpu_to_le16(i == 0 ? 7 : 4),
			cpu_to_le32(i > 1 && i < n - 2 ? (uint32_t)i : NO_ID),
		};
	return sizeof(*v) + n * sizeof(v->entry[0]);
}

static void test_longest_list_passes_and_no_longer_one(void **state)
{
	struct owfs_acl_value *v = malloc(OWFS_ACL_SIZE_MAX + 8);
	struct owfs_acl got;
	size_t len;

	(void)state;
	assert_non_null(v);
	len = list_of(v, OWFS_ACL_ENTRIES);
	assert_int_equal(owfs_acl_check(v, len), 0);
	assert_int_equal(owfs_acl_from_bytes(&got, v, len), 0);
	assert_int_equal(owfs_acl_mode(&got, 0), 0744);
	len = list_of(v, OWFS_ACL_ENTRIES + 1);
	assert_int_equal(owfs_acl_check(v, len), -EINVAL);
	assert_int_equal(owfs_acl_from_bytes(&got, v, len), -E2BIG);
	free(v);
}

/* What senders write where nobody is named is of no importance. */
static void test_ids_of_nobody_become_one(void **state)
{
	struct owfs_acl acl, got;

	(void)state;
	acl_of(&acl, "u7 u5:7 g5 m7 o0");
	acl.entry[0].id = cpu_to_le32(0);
	acl.entry[3].id = cpu_to_le32(1234);
	assert_int_equal(owfs_acl_check(acl.bytes, acl.len), -EINVAL);
	assert_int_equal(owfs_acl_from_bytes(&got, acl.bytes, acl.len), 0);
	is(&got, "u7 u5:7 g5 m7 o0");
	acl.entry[1].id = cpu_to_le32(NO_ID);
	assert_int_equal(owfs_acl_from_bytes(&got, acl.bytes, acl.len), -EINVAL);
}

static void test_mode_is_owner_group_class_and_others(void **state)
{
	struct owfs_acl acl;

	(void)state;
	acl_of(&acl, "u6 g5 o4");
	assert_false(owfs_acl_has_more(&acl));
	assert_int_equal(owfs_acl_mode(&acl, 0107777), 0107654);
	acl_of(&acl, "u6 u1:7 g5 m3 o4");
	assert_true(owfs_acl_has_more(&acl));
	assert_int_equal(owfs_acl_mode(&acl, 0), 0634);
	acl_of(&acl, "u6 g5 m1 o4");
	assert_true(owfs_acl_has_more(&acl));
	assert_int_equal(owfs_acl_mode(&acl, 02000), 02614);
}

static void test_chmod_sets_the_mask_and_leaves_names_alone(void **state)
{
	struct owfs_acl acl;

	(void)state;
	acl_of(&acl, "u6 u1:7 g5 g2:6 m3 o4");
	owfs_acl_chmod(&acl, 0104751);
	is(&acl, "u7 u1:7 g5 g2:6 m5 o1");
	acl_of(&acl, "u6 g5 o4");
	owfs_acl_chmod(&acl, 0612);
	is(&acl, "u6 g1 o2");
}

static void test_inherited_list_and_mode_meet(void **state)
{
	struct owfs_acl acl;

	(void)state;
	acl_of(&acl, "u7 u1:7 g5 m7 o5");
	assert_int_equal(owfs_acl_inherit(&acl, 0100666), 0100664);
	is(&acl, "u6 u1:7 g5 m6 o4");
	acl_of(&acl, "u4 u1:7 g5 m1 o0");
	assert_int_equal(owfs_acl_inherit(&acl, 0042777), 0042410);
	is(&acl, "u4 u1:7 g5 m1 o0");
	acl_of(&acl, "u7 g5 o5");
	assert_int_equal(owfs_acl_inherit(&acl, 0100626), 0100604);
	is(&acl, "u6 g0 o4");
	acl_of(&acl, "u7 u3:7 g7 m7 o7");
	assert_int_equal(owfs_acl_inherit(&acl, 0020000), 0020000);
	is(&acl, "u0 u3:7 g7 m0 o0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_that_are_ones),
		cmocka_unit_test(test_lists_that_are_none),
		cmocka_unit_test(test_bytes_of_any_kind_are_refused_or_good),
		cmocka_unit_test(test_length_and_version),
		cmocka_unit_test(test_longest_list_passes_and_no_longer_one),
		cmocka_unit_test(test_ids_of_nobody_become_one),
		cmocka_unit_test(test_mode_is_owner_group_class_and_others),
		cmocka_unit_test(test_chmod_sets_the_mask_and_leaves_names_alone),
		cmocka_unit_test(test_inherited_list_and_mode_meet),
	};

	return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}

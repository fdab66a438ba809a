/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Access control lists: arithmetic. */
#include "object/acl.h"

#include <errno.h>
#include <string.h>

#define NO_ID	UINT32_MAX

/* Places of the entries, in the order in which they must stand. */
enum place { OWNER, USERS, GROUP, GROUPS, MASK, OTHERS, NPLACES };

static int place_of(uint16_t tag)
{
	switch (tag) {
	case OWFS_ACL_USER_OBJ:
		return OWNER;
	case OWFS_ACL_USER:
		return USERS;
	case OWFS_ACL_GROUP_OBJ:
		return GROUP;
	case OWFS_ACL_GROUP:
		return GROUPS;
	case OWFS_ACL_MASK:
		return MASK;
	case OWFS_ACL_OTHER:
		return OTHERS;
	default:
		return -1;
	}
}

static bool is_name(int place)
{
	return place == USERS || place == GROUPS;
}

static bool counts_fit(const unsigned int count[NPLACES])
{
	bool names = count[USERS] || count[GROUPS];

	return count[OWNER] == 1 && count[GROUP] == 1 && count[OTHERS] == 1 &&
	       count[MASK] <= 1 && (count[MASK] || !names);
}

/* @bytes of any alignment. */
int owfs_acl_check(const void *bytes, size_t len)
{
	const char *p = bytes, *end = p + len;
	unsigned int count[NPLACES] = { 0 };
	struct owfs_acl_entry e;
	int place, last = OWNER;
	le32_t version;

	if (len < sizeof(version) || len > OWFS_ACL_SIZE_MAX ||
	    (len - sizeof(version)) % sizeof(e))
		return -EINVAL;
	memcpy(&version, p, sizeof(version));
	if (le32_to_cpu(version) != OWFS_ACL_VERSION)
		return -EINVAL;
	for (p += sizeof(version); p < end; p += sizeof(e)) {
		memcpy(&e, p, sizeof(e));
		place = place_of(le16_to_cpu(e.tag));
		if (place < last || le16_to_cpu(e.perm) > 7 ||
		    is_name(place) != (le32_to_cpu(e.id) != NO_ID))
			return -EINVAL;
		count[place]++;
		last = place;
	}
	return counts_fit(count) ? 0 : -EINVAL;
}

static size_t entries_of(const struct owfs_acl *acl)
{
	return (acl->len - sizeof(acl->version)) / sizeof(acl->entry[0]);
}

int owfs_acl_from_bytes(struct owfs_acl *acl, const void *bytes, size_t len)
{
	size_t i;

	if (len > OWFS_ACL_SIZE_MAX)
		return -E2BIG;
	if (len < sizeof(acl->version))
		return -EINVAL;
	acl->len = len;
	memcpy(acl->bytes, bytes, len);
	/* what nobody is named by says nothing, and senders differ in it */
	for (i = 0; i < entries_of(acl); i++)
		if (!is_name(place_of(le16_to_cpu(acl->entry[i].tag))))
			acl->entry[i].id = cpu_to_le32(NO_ID);
	return owfs_acl_check(acl->bytes, len);
}

/* ------------------------------------------------------------ the mode's bits */

/* The entry that is the bits of @class: 2 owner, 1 group, 0 others. */
static struct owfs_acl_entry *entry_of(struct owfs_acl *acl, unsigned int class)
{
	return &acl->entry[class == 2 ? 0 : entries_of(acl) - 1 - class];
}

bool owfs_acl_has_more(const struct owfs_acl *acl)
{
	return entries_of(acl) > 3;
}

uint32_t owfs_acl_mode(const struct owfs_acl *acl, uint32_t mode)
{
	size_t n = entries_of(acl);

	return (mode & ~0777u) |
	       (uint32_t)le16_to_cpu(acl->entry[0].perm) << 6 |
	       (uint32_t)le16_to_cpu(acl->entry[n - 2].perm) << 3 |
	       le16_to_cpu(acl->entry[n - 1].perm);
}

void owfs_acl_chmod(struct owfs_acl *acl, uint32_t mode)
{
	unsigned int class;

	for (class = 0; class < 3; class++)
		entry_of(acl, class)->perm =
			cpu_to_le16(mode >> 3 * class & 7);
}

uint32_t owfs_acl_inherit(struct owfs_acl *acl, uint32_t mode)
{
	mode &= owfs_acl_mode(acl, ~0u);
	owfs_acl_chmod(acl, mode);
	return mode;
}

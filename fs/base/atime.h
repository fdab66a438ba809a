/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When reading changes an access time, by the words of mount(8). */
#ifndef OWFS_BASE_ATIME_H
#define OWFS_BASE_ATIME_H

enum owfs_atime {
	OWFS_ATIME_RELATIVE,	/* relatime: when it would be news, and daily */
	OWFS_ATIME_NEVER,	/* noatime */
	OWFS_ATIME_ALWAYS,	/* strictatime */
};

#endif

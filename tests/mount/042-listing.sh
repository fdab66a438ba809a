#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A directory of very many names: listed while others come and go, what stays
# is seen once, and places keep their meaning (listing.c).
#
#	NAMES=N
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

names=${NAMES-100000}
t_image $((256 + names / 1000))M
t_mount
mkdir "$MNT/many"
"$top_builddir/tests/mount/listing" "$names" "$MNT/many" || t_fail "$names names"
rmdir "$MNT/many"
t_umount
t_fsck
t_ok "$names names"

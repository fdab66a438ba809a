#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two files claim the same blocks on a full filesystem: the one gets copies of them
# as soon as those are free that belong to nobody, which are as many.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 16M -m single
t_mount
head -c 3M /dev/urandom > "$MNT/one"
head -c 3M /dev/urandom > "$MNT/two"
sync -f "$MNT"
sum=$(md5sum < "$MNT/one")
for ((blocks = 3000; blocks > 20; blocks -= 20)); do
	fallocate -l $((blocks * 4096)) "$MNT/fill$blocks" 2> /dev/null || continue
done
t_umount
"$top_builddir/tests/fsck/owfs-edit" "$IMG" \
	<<< 'set extent:two fsblock $extent:one,fsblock'
t_expect 1 "$FSCK" -f -y "$IMG"
grep -q 'inode .*blocks have other owners.*path=/one' "$T/out" ||
	t_fail "the first owner is not named"
t_expect 0 "$FSCK" -f -y "$IMG"
t_mount
t_same "one" "$(md5sum < "$MNT/one")" "$sum"
t_same "two" "$(md5sum < "$MNT/two")" "$sum"
t_umount

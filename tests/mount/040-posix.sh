#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every call on everything by everybody, and what has changed then, times
# included, are as on the kernel's ext4 but for what posix/differences lists;
# and a remount shows the same tree.
#
#	OPTIONS=...	of the mount
#	PARTS=N		every N-th case (1: all of them)
#	PART=K		beginning with the K-th
#	SECTIONS=...	only these
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd mkfs.ext4 mountpoint
grep -qw ext4 /proc/filesystems || modprobe ext4 2>/dev/null || t_skip "needs ext4"

cases=$top_builddir/tests/mount/cases
differences=$top_srcdir/tests/mount/posix/differences
parts=${PARTS-11} part=${PART-0}
size=$((128 + 480 / parts))M

# The program drops its rights and must still reach the mounts.
chmod 755 "$T"

tree()
{
	(cd "$1" && find . -printf '%p %y %m %U:%G %n %s %b %T@ %C@ %l\n' |
		LC_ALL=C sort)
}

on_ext4()
{
	mkdir "$T/ext4"
	truncate -s "$size" "$T/ext4.img"
	mkfs.ext4 -q -F -b 4096 -N $((20000 + 280000 / parts)) "$T/ext4.img"
	mount -o loop,user_xattr "$T/ext4.img" "$T/ext4"
	mkdir "$T/ext4/t"
	# shellcheck disable=SC2086
	"$cases" -p "$part/$parts" "$T/ext4/t" ${SECTIONS-} > "$T/ext4.txt"
	umount "$T/ext4"
	rm "$T/ext4.img"
}

on_owfs()
{
	t_image "$size"
	t_mount -o "${OPTIONS-defaults}"
	mkdir "$MNT/t"
	# shellcheck disable=SC2086
	"$cases" -p "$part/$parts" "$MNT/t" ${SECTIONS-} > "$T/owfs.txt"
	tree "$MNT" > "$T/before"
	t_remount -o "${OPTIONS-defaults}"
	tree "$MNT" > "$T/after"
	diff "$T/before" "$T/after" | head || t_fail "a remount shows another tree"
	t_umount
	t_fsck
}

# Both outcomes side by side, a tab between, where they differ.
compare()
{
	t_same "cases" "$(wc -l < "$T/owfs.txt")" "$(wc -l < "$T/ext4.txt")"
	paste -d '\t' "$T/ext4.txt" "$T/owfs.txt" |
		awk -F '\t' '$1 != $2' > "$T/differ"
	grep -v -e '^#' -e '^$' "$differences" > "$T/known"
	grep -vEf "$T/known" "$T/differ" > "$T/unknown" || true
	[ -s "$T/unknown" ] || return 0
	sed 's/^/ext4 /; s/\t/\nowfs /' "$T/unknown" | head -n 40
	t_fail "$(wc -l < "$T/unknown") cases are not as on ext4"
}

on_ext4
on_owfs
compare
t_same "failed preparations" "$(grep -c 'SETUP FAILED' "$T/owfs.txt" || true)" 0
t_ok "$(wc -l < "$T/owfs.txt") cases, $(wc -l < "$T/differ") known differences"

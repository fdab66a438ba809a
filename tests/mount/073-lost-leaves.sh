#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Leaves are lost.  What the commit before has of them comes back, however many
# they are; and an older state of a leaf, which blocks of a preallocated file still
# hold, is not taken for the leaf: whoever is not what he was is in the report.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

files=$MNT/files

# What is to be seen of each file: inode, name, mode, owner, size, contents.
state()
{
	local f

	for f in "$files"/*; do
		stat -c '%i %n %a %u %s' "$f"
		md5sum < "$f"
	done | paste -d ' ' - -
}

# Leaves with inodes in them, in the order of the tree, but for the first.
leaves()
{
	"$DUMP" "$IMG" tree |
		awk '/node: / { n = $2 } /item=inode off/ && n != last { print n; last = n }' |
		tail -n +2
}

lose()
{
	local leaf

	for leaf; do
		dd if=/dev/zero of="$IMG" bs=4096 seek="$leaf" count=1 conv=notrunc \
			status=none
	done
	t_expect 1 "$FSCK" -f -y "$IMG"
	mv "$T/out" "$T/report"
	t_expect 0 "$FSCK" -f -n "$IMG"
	t_mount
	state > "$T/after"
	t_umount
}

# Each line of the state before that is none of the state after is of an inode
# that the report names.
judge()
{
	local ino rest

	while read -r ino rest; do
		grep -qF "$ino $rest" "$T/after" || grep -q "inode $ino:" "$T/report" ||
			t_fail "without a word: inode $ino: $rest"
	done < "$T/before"
}

make_files()
{
	local i

	mkdir "$files"
	for ((i = 1000; i < 1000 + $1; i++)); do
		echo "file $i" > "$files/$i"
	done
	sync -f "$MNT"
}

# Every other of the leaves, all of them changed by the last commit.
t_image 16M -m single
t_mount
make_files 1400
t_umount
t_mount
chmod 600 "$files"/*
state > "$T/before"
t_umount
mapfile -t lost < <(leaves | awk 'NR % 2')
[ ${#lost[@]} -gt 32 ] || t_fail "only ${#lost[@]} leaves"
lose "${lost[@]}"
judge
t_same "files" "$(wc -l < "$T/after")" 1400
cut -d ' ' -f 1,2,5- "$T/before" > "$T/contents"
cut -d ' ' -f 1,2,5- "$T/after" | cmp - "$T/contents" || t_fail "other contents"

# A leaf that is the only one to tell of blocks in which it once stood.
t_image 16M -m single
t_mount
make_files 300
: > "$files/large"
fallocate -l $((1690 * 4096)) "$MNT/low"
sync -f "$MNT"
for i in 1 2 3 4 5; do
	chmod 60$i "$files"/*
	sync -f "$MNT"
done
chmod 640 "$files"/*
sync -f "$MNT"
sync -f "$MNT"
for i in 0 1 2 3 4 5 6 7 8 9; do
	fallocate -o $((i * 65536)) -l 64K "$files/large"
done
sync -f "$MNT"
chmod 444 "$files"/129?
rm "$files/1297"
state > "$T/before"
ino=$(stat -c %i "$files/large")
t_umount
leaf=$("$DUMP" "$IMG" tree |
	awk "/node: / { n = \$2 } /ino=$ino item=extent/ { print n; exit }")
lose "$leaf"
judge
grep -q 'suspect: inode' "$T/report" || t_fail "nobody is suspect"

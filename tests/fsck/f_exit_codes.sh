#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Exit codes as in fsck(8), and when a clean filesystem is not read.
. "${top_srcdir:?}/tests/lib/testlib.sh"

# damage FILE: change a byte of the root of the tree
damage()
{
	local addr

	addr=$("$DUMP" "$1" superblock | sed -n 's/^    tree: addr=\([0-9]*\).*/\1/p' | head -n 1)
	printf '\377' | dd of="$1" bs=1 seek=$((addr * 4096 + 70)) conv=notrunc status=none
}

t_image 16M
img=$IMG

# 0
t_expect_out ': clean, ' "$FSCK" "$img"
for options in '' -p -a -y -n -f '-f -n' '-f -y -v' '-n -f -C 1'; do
	# shellcheck disable=SC2086
	t_expect 0 "$FSCK" $options "$img"
done
t_expect_out '^fsck.owfs [0-9]' "$FSCK" -V
t_expect 0 "$FSCK" -V
t_expect 0 "$FSCK" -h

# 4
damage "$img"
t_expect 0 "$FSCK" "$img"
for options in -f '-f -n' '-f -p'; do
	# shellcheck disable=SC2086
	t_expect 4 "$FSCK" $options "$img"
done
t_expect_out 'cannot be read, everything below' "$FSCK" -f "$img"
t_expect_out ': 1 problem: ' "$FSCK" -f "$img"
t_expect_out 'UNEXPECTED INCONSISTENCY' "$FSCK" -f -p "$img"
t_expect_out 'problem 201 \(node-read\): 1' "$FSCK" -f -v "$img"
before=$(cksum < "$img")
t_expect 4 "$FSCK" -f -p "$img"
t_same 'the image' "$(cksum < "$img")" "$before"
if "$FSCK" -f "$img" 2>&1 | grep -q '|'; then
	t_fail "a bar where there is no terminal"
fi

# 1, then 0
t_expect 1 "$FSCK" -f -y "$img"
t_expect_out ': 0 files, 1 directory, ' "$FSCK" -f -y "$img"

# nobody hears it: 8, and what it is otherwise
damage "$img"
t_expect 12 sh -c "'$FSCK' -f -n '$img' > /dev/full"
t_expect 9 sh -c "'$FSCK' -f -y '$img' > /dev/full"
t_expect 8 sh -c "'$FSCK' -f -y '$img' > /dev/full"

# 8
t_expect 8 "$FSCK" "$T/none"
t_expect 8 "$FSCK" "$T"
truncate -s 20M "$T/zero"
t_expect 8 "$FSCK" "$T/zero"
t_expect_out 'holds no owfs' "$FSCK" "$T/zero"
t_expect_out 'holds no owfs' "$FSCK" -n "$T/zero"
t_expect_out 'holds no owfs' "$FSCK" -f -n "$T/zero"
if "$FSCK" -f -y "$T/zero" 2>&1 | grep 'problem'; then
	t_fail "problems of a filesystem that is not there"
fi
# what cannot be said is not written on the image instead
"$FSCK" -y "$T/zero" >&- 2>&- || true
cmp -n $((20 << 20)) "$T/zero" /dev/zero || t_fail "a message is on the image"
truncate -s 100 "$T/tiny"
t_expect 8 "$FSCK" -f "$T/tiny"

# 16
t_expect 16 "$FSCK"
t_expect 16 "$FSCK" -x "$img"
t_expect 16 "$FSCK" -n -y "$img"
t_expect 16 "$FSCK" -C none "$img"
t_expect 16 "$FSCK" -C
t_expect 16 "$FSCK" "$img" "$img"

# one superblock short: the check looks although the rest says clean
t_image 16M
dd if=/dev/zero of="$IMG" bs=4096 seek=16 count=1 conv=notrunc status=none
dd if=/dev/zero of="$IMG" bs=4096 seek=32 count=1 conv=notrunc status=none
t_expect 4 "$FSCK" "$IMG"
t_expect_out 'newest may be among the damaged' "$FSCK" "$IMG"
t_ok "0, 4, 8, 16"

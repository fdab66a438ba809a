#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a repair overwrites is kept, and put back byte for byte.
. "${top_srcdir:?}/tests/lib/testlib.sh"

t_image 16M
addr=$("$DUMP" "$IMG" superblock | sed -n 's/^    tree: addr=\([0-9]*\).*/\1/p' | head -n 1)
printf '\377' | dd of="$IMG" bs=1 seek=$((addr * 4096 + 70)) conv=notrunc status=none
before=$(cksum < "$IMG")
t_expect 1 "$FSCK" -f -y --undo "$T/undo" "$IMG"
t_expect 0 "$FSCK" -f -y --undo "$T/undo2" "$IMG"
after=$(cksum < "$IMG")
[ "$before" != "$after" ] || t_fail "nothing was repaired"

# nothing to keep: said, and no file
for options in '' -n '-f -n'; do
	# shellcheck disable=SC2086
	t_expect_out 'so .*/undo3 is not made$' \
		"$FSCK" $options --undo "$T/undo3" "$IMG"
done
[ ! -e "$T/undo3" ] || t_fail "made all the same"

# not over one that is there, not to another device, not from what is none
t_expect 8 "$FSCK" -f -y --undo "$T/undo" "$IMG"
truncate -s 32M "$T/other"
t_expect 8 "$FSCK" --restore "$T/undo" "$T/other"
t_expect 8 "$FSCK" --restore "$IMG" "$IMG"
t_expect 8 "$FSCK" --restore "$T/none" "$IMG"
t_expect 16 "$FSCK" -y --restore "$T/undo" "$IMG"
t_expect 16 "$FSCK" --undo
t_expect 16 "$FSCK" --nonsense "$IMG"
t_expect_out 'unknown option "--nonsense"' "$FSCK" --nonsense "$IMG"
t_same 'the image' "$(cksum < "$IMG")" "$after"

# damaged in the middle: nothing is put back
cp "$T/undo" "$T/bad"
printf '\377' | dd of="$T/bad" bs=1 seek=100 conv=notrunc status=none
t_expect 8 "$FSCK" --restore "$T/bad" "$IMG"
t_same 'the image' "$(cksum < "$IMG")" "$after"

# a last record that was never finished is of a write that was never begun
cp --sparse=always "$IMG" "$T/repaired"
t_expect_out 'writes undone' "$FSCK" --restore "$T/undo" "$IMG"
t_same 'the image' "$(cksum < "$IMG")" "$before"
t_expect 0 "$FSCK" --restore "$T/undo" "$IMG"
t_same 'the image, undone again' "$(cksum < "$IMG")" "$before"
t_expect 4 "$FSCK" -f -n "$IMG"
cp "$T/undo" "$T/torn"
printf 'RD\0\0\377\377\0\0' >> "$T/torn"
cp --sparse=always "$T/repaired" "$IMG"
t_expect 0 "$FSCK" --restore "$T/torn" "$IMG"
t_same 'the image' "$(cksum < "$IMG")" "$before"

# changed since, another filesystem of the same size, an older file: not written
t_expect 1 "$FSCK" -f -y "$IMG"
after=$(cksum < "$IMG")
t_expect 8 "$FSCK" --restore "$T/undo" "$IMG"
t_expect_out 'was changed since, or .*; nothing was undone' \
	"$FSCK" --restore "$T/undo" "$IMG"
t_same 'the image' "$(cksum < "$IMG")" "$after"
"$MKFS" -q "$T/another" 16M
after=$(cksum < "$T/another")
t_expect 8 "$FSCK" --restore "$T/undo" "$T/another"
t_expect_out 'is of another filesystem than .*; nothing was undone' \
	"$FSCK" --restore "$T/undo" "$T/another"
t_same 'the other image' "$(cksum < "$T/another")" "$after"
cp "$T/undo" "$T/older"
printf O | dd of="$T/older" bs=1 seek=7 conv=notrunc status=none
t_expect_out 'was made by an older fsck.owfs' "$FSCK" --restore "$T/older" "$IMG"

# no room for it: nothing is written, and the next try finds nothing there
t_image 16M
dd if=/dev/zero of="$IMG" bs=4096 seek=16 count=1 conv=notrunc status=none
before=$(cksum < "$IMG")
(
	trap '' XFSZ
	ulimit -f 0
	"$FSCK" -f -y --undo "$T/undo4" "$IMG" 2>&1 || true
) | grep 'cannot keep anything' > "$T/out" || t_fail "kept where nothing can be"
[ ! -e "$T/undo4" ] || t_fail "something is left"
t_same 'the image' "$(cksum < "$IMG")" "$before"

# no room for more of it: said of the file, not of the device, and what has been
# repaired can be undone
if [ "$(id -u)" -eq 0 ]; then
	t_image 16M
	"$top_builddir/tests/fsck/owfs-edit" "$IMG" 'set inode:/ nlink 7'
	before=$(cksum < "$IMG")
	mkdir "$T/small"
	for size in 4 8 12 16; do
		mount -t tmpfs -o size=${size}k owfs-test "$T/small"
		t_expect_out 'cannot keep more in .*undo, so nothing more is repaired: No space' \
			"$FSCK" -f -y --undo "$T/small/undo" "$IMG"
		! grep -q 'not enough room' "$T/out" || t_fail "$(cat "$T/out")"
		t_expect 0 "$FSCK" --restore "$T/small/undo" "$IMG"
		t_same 'the image' "$(cksum < "$IMG")" "$before"
		umount "$T/small"
	done
fi

t_ok "undone byte for byte"

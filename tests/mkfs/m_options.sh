#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What was asked for is what is made, and what is said.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"

uuid=123e4567-e89b-42d3-a456-426614174000
img=$T/img

super()
{
	"$DUMP" "$img" superblock | sed -n "s/^  $1: //p"
}

"$MKFS" -L 'my work' -U $uuid -b 16K -m dup "$img" 256M > "$T/out"
for line in "uuid  *$uuid" 'label  *my work' 'block size  *16384' \
	'blocks  *16384 (256 MiB)' 'metadata  *written twice'; do
	grep -q "$line" "$T/out" || t_fail "does not say: $line"
done
t_same uuid "$(super uuid)" $uuid
t_same label "$(super label)" '"my work"'
t_same 'block size' "$(super block_size)" 16384
t_same copies "$(super meta_copies)" 2
t_same size "$(stat -c %s "$img")" 268435456
"$FSCK" -f "$img" > "$T/out" || t_fail "fsck: $(cat "$T/out")"

# twice is the default unless the device is small
for case in 127M:1 128M:2 1G:2; do
	rm "$img"
	"$MKFS" -q "$img" ${case%:*}
	t_same "copies at ${case%:*}" "$(super meta_copies)" ${case#*:}
done
"$MKFS" -q -f -m single "$img"
t_same copies "$(super meta_copies)" 1

rm "$img"
t_same 'output of -q' "$("$MKFS" -q "$img" 16M 2>&1)" ''
t_same copies "$(super meta_copies)" 1
t_same 'block size' "$(super block_size)" 4096
t_same 'root directory' "$("$DUMP" "$img" inode 1 |
	grep -o "mode=040755 nlink=2 uid=$(id -u) gid=$(id -g) size=0")" \
	"mode=040755 nlink=2 uid=$(id -u) gid=$(id -g) size=0"
t_expect_out 'groups  *1 of 32256' "$MKFS" -f -v "$img"

"$MKFS" -q -f "$img"
first=$(super uuid) seed=$(super csum_seed)
"$MKFS" -q -f "$img"
[ "$first" != "$(super uuid)" ] || t_fail "the same uuid twice"
[ "$seed" != "$(super csum_seed)" ] || t_fail "the same seed twice"
t_ok "options do what they say"

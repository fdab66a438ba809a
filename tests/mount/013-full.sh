#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A full filesystem: ENOSPC and nothing worse, what was written is whole, and
# removing works and gives the space back, round after round.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

avail()
{
	df -B 1024 --output=avail "$MNT" | tail -n 1 | tr -d ' '
}

# Write until there is no space; only that may be the reason.
fill()
{
	! "$@" 2> "$T/err" || t_fail "$*: the image has no end"
	grep -q "No space left on device" "$T/err" ||
		{ cat "$T/err"; t_fail "$*: another error than ENOSPC"; }
}

# Space comes back when reclaim and commits have run; nobody asks for them.
has_space_back()
{
	[ "$(avail)" -ge $((empty * 98 / 100)) ]
}

D=$MNT/in	# not there when nothing is mounted
t_image 64M
t_mount
mkdir "$D"
empty=$(avail)
[ "$empty" -gt $((48 * 1024)) ] || t_fail "64 MiB empty, $empty KiB available"

for round in 1 2 3; do
	fill dd if=/dev/urandom of="$D/big" bs=1M status=none
	size=$(stat -c %s "$D/big")
	[ "$size" -ge $((empty * 1024 * 9 / 10)) ] ||
		t_fail "full at $size of $((empty * 1024)) bytes"
	[ "$(avail)" -le $((empty / 20)) ] || t_fail "full, but $(avail) KiB available"
	before=$(cksum < "$D/big")
	# what was answered is on the disk or will be
	t_same "full, read again" "$(cksum < "$D/big")" "$before"
	sync "$D/big"
	[ "$round" -ne 2 ] || { t_remount; t_same "full, after a remount" "$(cksum < "$D/big")" "$before"; }
	truncate -s $((size / 2)) "$D/big"
	rm "$D/big"
	t_wait_until has_space_back || t_fail "round $round: $(avail) of $empty KiB are back"
done
t_ok "one large file, three times"

# small files, until not even a name fits
small()
{
	local i

	for i in $(seq 100000); do
		echo "file $i" > "$D/d/$i" || return 1
	done
}
mkdir "$D/d"
fill small
n=$(find "$D/d" -type f | wc -l)
[ "$n" -gt 2000 ] || t_fail "only $n files fit"
fill dd if=/dev/zero of="$D/rest" bs=4k status=none
last=$(find "$D/d" -type f -size +0 -printf '%f\n' | sort -n | tail -n 1)
t_same "the last small file" "$(cat "$D/d/$last")" "file $last"
# what gives back as much as it takes goes on for ever
for i in $(seq 50); do
	dd if=/dev/urandom of="$D/d/$last" bs=4k count=1 conv=notrunc status=none ||
		t_fail "overwriting a block on a full filesystem"
	mv "$D/d/$last" "$D/moved"
	mv "$D/moved" "$D/d/$last"
	chmod $((i % 8))00 "$D/d/$last"
done
fallocate -p -o 0 -l 1048576 "$D/rest" || t_fail "punch on a full filesystem"
rm "$D/rest"
rm -r "$D/d"
t_wait_until has_space_back || t_fail "$(avail) of $empty KiB are back"
t_ok "$n small files"

# a write that is too long is short, and what it counts is there
dd if=/dev/urandom of="$D/most" bs=1M status=none 2>/dev/null && t_fail "the image has no end"
! dd if=/dev/zero of="$D/more" bs=4k count=64 status=none 2>/dev/null ||
	t_fail "64 blocks were left behind a large write"
fallocate -l 1M "$D/pre" 2>/dev/null && t_fail "room for 1 MiB was left"
rm "$D/most" "$D/more"
t_wait_until has_space_back || t_fail "$(avail) of $empty KiB are back"

# what was preallocated can be written when the rest is full
fallocate -l 8M "$D/pre"
fill dd if=/dev/zero of="$D/big" bs=1M status=none
dd if=/dev/urandom of="$T/data" bs=1M count=8 status=none
for i in 3 1 7 5 0 2 6 4; do
	dd if="$T/data" of="$D/pre" bs=1M count=1 skip="$i" seek="$i" conv=notrunc status=none ||
		t_fail "preallocated, but no room"
done
cmp "$T/data" "$D/pre"
rm "$D/big" "$D/pre"
t_wait_until has_space_back || t_fail "$(avail) of $empty KiB are back"
t_ok "short writes, preallocated blocks"

# several writers at once
writers=()
for w in 1 2 3; do
	dd if=/dev/zero of="$D/w$w" bs=64k status=none 2> "$T/err$w" &
	writers+=($!)
done
for w in 1 2 3; do
	! wait "${writers[w - 1]}" || t_fail "writer $w: the image has no end"
	grep -q "No space left on device" "$T/err$w" || t_fail "writer $w: $(cat "$T/err$w")"
done
rm "$D"/w?
t_wait_until has_space_back || t_fail "$(avail) of $empty KiB are back"
t_umount
t_fsck
t_ok "three writers"

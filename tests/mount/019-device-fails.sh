#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device that stops taking writes: fsync says so, the filesystem turns
# read-only, what was there can be read; with a device that works again the
# next mount has all that was synced.  A parent that comes late to see its
# worker's end leaves that next mount alone.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root

# a sparse image on a filesystem that will be full
mkdir "$T/small"
mount -t tmpfs -o size=6m none "$T/small"
DEV=$T/small/img
"$MKFS" -q "$DEV" 64M
t_mount -o commit=1
seq 20000 > "$MNT/synced"
sync "$MNT/synced"
dd if=/dev/zero of="$T/small/filler" bs=4096 status=none 2>/dev/null &&
	t_fail "the small filesystem has no end"

# data that finds no room harms nobody: metadata still does
truncate -s -1600K "$T/small/filler"
! dd if=/dev/zero of="$MNT/big" bs=1M count=4 status=none 2> "$T/err" ||
	t_fail "4 MiB in 1 MiB"
grep -q "No space left on device" "$T/err" || { cat "$T/err"; t_fail "another error"; }
rm "$MNT/big"
echo small > "$MNT/small"
sync "$MNT/small" || t_fail "no room for metadata either"
t_same "data found no room" "$(cat "$MNT/small")" small
dd if=/dev/zero bs=4096 status=none 2>/dev/null >> "$T/small/filler" &&
	t_fail "the small filesystem has no end"
t_ok "an image that cannot grow"

write_until_error()
{
	local i

	for i in $(seq 200); do
		seq 100000 > "$MNT/lost-$i" || return
		sync "$MNT/lost-$i" || return
	done
}
! write_until_error 2> "$T/err" || t_fail "a full device takes 200 files"
grep -qE "Input/output error|Read-only file system|No space left" "$T/err" ||
	{ cat "$T/err"; t_fail "another error"; }
is_readonly()
{
	! touch "$MNT/more" 2> "$T/err" && grep -q "Read-only file system" "$T/err"
}
t_wait_until is_readonly || t_fail "still writable: $(cat "$T/err")"
t_same "what was synced can be read" "$(cksum < "$MNT/synced")" "$(seq 20000 | cksum)"
t_ok "read-only after an error"

parent=$(t_parent)
kill -STOP "$parent"
umount "$MNT"
rm "$T/small/filler"
mount -o remount,size=60m "$T/small"
t_wait_until eval '! kill -0 $(t_worker) 2>/dev/null' || t_fail "the worker stays"
t_mount
kill -CONT "$parent"
t_wait_until test ! -e "/proc/$parent/exe" || t_fail "the old parent stays"
t_is_mounted "$MNT" || t_fail "the old parent took the new mount away"
t_same "synced" "$(cksum < "$MNT/synced")" "$(seq 20000 | cksum)"
echo again > "$MNT/again"
t_remount
t_same "writable" "$(cat "$MNT/again")" again
t_umount
t_fsck
umount "$T/small"
t_ok "the device works again"

# an image that somebody cuts short: no byte of it is believed, nobody hangs
t_image 64M
t_mount
seq 200000 > "$MNT/numbers"
seq 300000 > "$MNT/more"
t_remount
truncate -s 300K "$IMG"
! cat "$MNT/numbers" "$MNT/more" > "$T/out" 2> "$T/err" ||
	t_fail "read from an image that is not there"
grep -qE "Input/output error|Structure needs cleaning|Bad message" "$T/err" ||
	{ cat "$T/err"; t_fail "another error"; }
for i in 1 2 3; do
	echo "$i" 2>/dev/null > "$MNT/new" || true
	sync "$MNT/new" 2>/dev/null || true
done
umount "$MNT"
t_wait_until t_no_server || t_fail "the server lives on"
t_ok "an image that was cut short"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# When umount returns, everything is on the image, no loop device and no lock
# of the server is left: the next program can have the image at once.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop

rounds=${ROUNDS-100}
t_image 32M
mkdir -p "$MNT"
for i in $(seq "$rounds"); do
	"$OWFS_FUSE" "$IMG" "$MNT" || t_fail "round $i: mount"
	[ "$i" -eq 1 ] || t_same "round $i" "$(cat "$MNT/last")" $((i - 1))
	echo "$i" > "$MNT/last"
	umount "$MNT" || t_fail "round $i: umount"
	if [ -n "$(losetup -j "$IMG")" ]; then
		t_fail "round $i: a loop device is left: $(losetup -j "$IMG")"
	fi
	case $((i % 10)) in
	3)	"$FSCK" -f -y "$IMG" > "$T/out" 2>&1 || t_fail "round $i: fsck" ;;
	6)	"$MKFS" -q -f -n "$IMG" || t_fail "round $i: mkfs" ;;
	esac
done
t_no_server || t_wait_until t_no_server || t_fail "a server is left"
t_ok "$rounds rounds"

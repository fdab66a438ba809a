#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device in use is refused by the name of its user, with -f, too.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"
t_require_cmd flock

img=$T/img
"$MKFS" -q "$img" 32M
exec 9< "$img"
flock -x 9
m_refuses 'is in use by' -f "$img"
m_refuses 'is in use by' -n -f "$img"
exec 9<&-
"$MKFS" -q -f "$img"
t_ok "a locked image"

if [ "$(id -u)" -ne 0 ] || ! losetup -f > /dev/null 2>&1; then
	t_ok "loop devices not tested: not root, or there are none"
	exit 0
fi
loop=$(losetup --show -f "$img")
m_refuses "is in use by /dev/loop${loop#/dev/loop}" -f "$img"
"$MKFS" -q -f "$loop"
t_ok "an image under a loop device; the loop device itself works"

if command -v mkfs.ext4 > /dev/null; then
	mkfs.ext4 -q -F "$loop"
	mkdir -p "$MNT"
	if mount -t ext4 "$loop" "$MNT" 2> /dev/null; then
		m_refuses "mounted on $MNT" -f "$loop"
		m_refuses "mounted on $MNT" -f "$img"
		[ -d "$MNT/lost+found" ] || t_fail "the mount is broken"
		umount "$MNT"
		t_ok "a mounted device"
	fi
fi

blockdev --setro "$loop"
m_refuses 'read-only|Read-only|not permitted|denied' -f "$loop"
blockdev --setrw "$loop"
losetup -d "$loop"
t_ok "a read-only device"

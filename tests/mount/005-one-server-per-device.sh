#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A second mount, mkfs and a repairing fsck are refused by name while a server
# has the device, by whatever path they come; afterwards they work.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 64M
t_mount
echo here > "$MNT/file"
mkdir "$T/mnt2"

refused()
{
	local what=$1

	shift
	if "$@" > "$T/out" 2>&1; then
		t_fail "$what was not refused"
	fi
	grep -qE "in use|mounted|busy" "$T/out" ||
		{ cat "$T/out"; t_fail "$what: the message does not say why"; }
}

refused "second mount" "$OWFS_FUSE" "$IMG" "$T/mnt2"
refused "mkfs -f" "$MKFS" -f "$IMG"
refused "fsck -y" "$FSCK" -y -f "$IMG"
ln "$IMG" "$T/alias"
refused "mount by another name" "$OWFS_FUSE" "$T/alias" "$T/mnt2"
if [ "$(id -u)" -eq 0 ] && loop=$(losetup --show -f "$IMG" 2>/dev/null); then
	refused "mount through a loop device" "$OWFS_FUSE" "$loop" "$T/mnt2"
	refused "mkfs of a loop device" "$MKFS" -f "$loop"
	losetup -d "$loop"
fi
"$FSCK" -n -f "$IMG" > "$T/out" 2>&1 || [ $? -le 4 ] || t_fail "fsck -n must be allowed"
t_same "still mounted and well" "$(cat "$MNT/file")" here
t_umount
t_fsck
t_mount
t_same "again" "$(cat "$MNT/file")" here
t_umount
"$MKFS" -q -f "$IMG"
t_ok "one server at a time"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -o offset=,sizelimit=: a filesystem inside an image or a device is mounted
# where it is, nothing around it changes, and the whole of the file is locked.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

part=offset=1M,sizelimit=64M
IMG=$T/img
DEV=$IMG

# All but the part, which is 64 MiB from 1 MiB on.
around()
{
	{ head -c 1M "$IMG"; tail -c +$((65 * 1048576 + 1)) "$IMG"; } | cksum
}

use()
{
	local how=$1

	shift
	t_mount -o "$part" "$@"
	cp -a "${top_srcdir:?}/fs/fuse" "$MNT/"
	t_expect 1 "$OWFS_FUSE" -o "$part" "$DEV" "$MNT"
	# another part of the same file is refused as well: see owfs-fuse(8)
	t_expect_out 'in use by' "$OWFS_FUSE" -o offset=66M "$DEV" "$MNT"
	t_umount
	t_mount -o "$part" -o ro "$@"
	diff -r "${top_srcdir:?}/fs/fuse" "$MNT/fuse" || t_fail "$how: contents"
	t_umount
	t_mount -o "$part" "$@"
	rm -r "$MNT/fuse"
	t_umount
	"$FSCK" -f -n -o "$part" "$DEV" > "$T/out" || t_fail "$how: $(cat "$T/out")"
	t_same "$how: around the part" "$(around)" "$before"
	t_ok "$how"
}

head -c 1M /dev/urandom > "$IMG"
head -c 84M /dev/zero >> "$IMG"
before=$(around)
"$MKFS" -q -o $part "$IMG"
"$MKFS" -q -o offset=66M "$IMG" 16M
before=$(around)
use "image"
use "image, plain fuse" -o plain

fails()
{
	t_expect 1 "$OWFS_FUSE" "$@" "$DEV" "$MNT"
	! t_is_mounted "$MNT" || t_fail "$*: mounted all the same"
}
fails -o offset=1000
t_expect_out 'not a multiple' "$OWFS_FUSE" -o offset=1000 "$DEV" "$MNT"
fails -o offset=100M
fails -o offset=2M
fails -o offset=1M,sizelimit=32M	# the filesystem is longer
t_expect_out 'shorter than the filesystem' \
	"$OWFS_FUSE" -o offset=1M,sizelimit=32M "$DEV" "$MNT"

if [ "$(id -u)" -eq 0 ] && losetup -f >/dev/null 2>&1; then
	t_loop
	use "block device"
	# mount(8) makes a loop device of the part itself
	losetup -d "$DEV"
	DEV=$(losetup --show -f -o 1M --sizelimit 64M "$IMG")
	t_mount
	: > "$MNT/through the loop"
	t_umount
	losetup -d "$DEV"
	DEV=$IMG
	t_mount -o $part
	[ -e "$MNT/through the loop" ] || t_fail "not the same part"
	t_umount
	t_same "around the part" "$(around)" "$before"
fi
t_ok "a part of a device is enough"

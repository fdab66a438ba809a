#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What may only be read is mounted read-only, and not one byte of it changes;
# a mount that is made read-only is durable.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd mount

# Called as mount(8) does it; the name of the folder is for t_servers.
mkdir "$T/owfs-fuse as"
ln -s "$OWFS_FUSE" "$T/owfs-fuse as/mount.owfs"
helper="$T/owfs-fuse as/mount.owfs"

# An image as a crash leaves it, with a file that is open and has no name.
t_image 64M
t_mount -o commit=1
cp -a "${top_srcdir:?}/fs/fuse" "$MNT/"
setfattr -n user.x -v y "$MNT/fuse/opts.c" 2>/dev/null || true
exec 5> "$MNT/nameless"
head -c 4M /dev/zero >&5
rm "$MNT/nameless"
sync -f "$MNT"
t_kill_server
exec 5>&-
before=$(cksum < "$IMG"; stat -c %y%z "$IMG")

unchanged()
{
	t_same "$1" "$(cksum < "$IMG"; stat -c %y%z "$IMG")" "$before"
}

look()
{
	t_listing "$MNT" > /dev/null
	diff -r "${top_srcdir:?}/fs/fuse" "$MNT/fuse" || t_fail "$1: contents"
	getfattr -R -d "$MNT" > /dev/null 2>&1 || true
	t_expect_out 'Read-only file system' touch "$MNT/new"
	t_expect_out 'Read-only file system' rm "$MNT/fuse/opts.c"
	t_expect_out 'Read-only file system' truncate -s 0 "$MNT/fuse/opts.c"
	sync -f "$MNT"
}

for options in '-o ro' '-o ro,plain' '-r -o discard'; do
	# shellcheck disable=SC2086
	t_mount $options
	look "$options"
	t_umount
	unchanged "after a mount with $options"
done

# the server holds on to what it was started with
t_mount -o ro,plain
mount -i -o remount,rw "$MNT"
look "remounted to write"
t_umount
unchanged "after remount,rw"
t_mount -o ro
! mount -i -o remount,rw "$MNT" 2>/dev/null || look "remounted to write"
t_umount
unchanged "after remount,rw of a read-only loop device"
t_ok "-o ro writes nothing"

# a medium that does not want to be written
protected()
{
	local what=$1

	t_expect_out '-o ro mounts read-only' "$OWFS_FUSE" "$DEV" "$MNT"
	! t_is_mounted "$MNT" || t_fail "$what: mounted"
	t_expect_out 'Read-only|ermission' "$helper" "$DEV" "$MNT" -w
	! t_is_mounted "$MNT" || t_fail "$what: mounted with -w"
	"$helper" "$DEV" "$MNT" -o rw > "$T/out" 2>&1 ||
		t_fail "$what: $(cat "$T/out")"
	grep -q 'write-protected, mounted read-only' "$T/out" ||
		t_fail "$what: said nothing"
	look "$what"
	t_umount
	t_mount -o ro
	look "$what"
	t_umount
	unchanged "$what"
}
DEV=$(losetup --show -r -f "$IMG")
protected "read-only loop device"
losetup -d "$DEV"
mkdir "$T/ro"
mount --bind "$T" "$T/ro"
mount -o remount,bind,ro "$T/ro"
DEV=$T/ro/img
protected "read-only filesystem"
umount "$T/ro"
DEV=$IMG
t_ok "write-protected media are read"

# from writing to reading
t_mount -o commit=600
cp -a "${top_srcdir:?}/fs/io" "$MNT/"
mount -i -o remount,ro "$MNT"
t_expect_out 'Read-only file system' touch "$MNT/new"
t_kill_server
t_fsck
t_mount -o commit=600
diff -r "${top_srcdir:?}/fs/io" "$MNT/io" || t_fail "remount,ro is not durable"
"$helper" "$DEV" "$MNT" -o remount,ro,noexec
t_expect_out ' ro,.*noexec' grep -F " $MNT " /proc/self/mounts
t_expect_out 'Read-only file system' touch "$MNT/new"
"$helper" "$DEV" "$MNT" -o remount,rw
touch "$MNT/new"
t_umount
t_fsck
t_ok "remount,ro is durable"

# longer than the filesystem
truncate -s 100M "$IMG"
t_expect_out 'longer than the filesystem by 9216 blocks' "$FSCK" -n "$IMG"
"$OWFS_FUSE" "$IMG" "$MNT" > "$T/out" 2>&1
grep -q 'longer than the filesystem by 9216 blocks' "$T/out" ||
	t_fail "the mount does not say that the device is longer"
[ -e "$MNT/new" ] || t_fail "not the same filesystem"
t_umount
t_fsck
t_ok "a longer device is told of"

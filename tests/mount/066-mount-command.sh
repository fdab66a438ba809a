#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Through mount(8), as an administrator does it: types, fstab with all its
# words, loop devices of its own, remounting, read-only media, misspelt words.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd mount umount findmnt unshare flock

# mount(8) looks for helpers in /sbin only: one of our own, in a mount namespace
# of our own, with the helpers beside everything that was there.
if [ -z "${OWN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || t_skip "cannot have a mount namespace here"
	OWN_NAMESPACE=yes unshare -m "$BASH" "$0" || exit
	exit 0
fi
sbin=$(readlink -f /sbin)
mkdir "$T/sbin"
mount --bind "$sbin" "$T/sbin"
mount -t tmpfs -o mode=755 owfs-test "$sbin"
trap 'status=$?; set +e; umount "$sbin"; (exit $status); t_cleanup' EXIT
ln -s "$T/sbin"/* "$sbin/"
cp "$OWFS_FUSE" "$sbin/mount.owfs"
ln -s mount.owfs "$sbin/mount.fuse.owfs"
ln -s mount.owfs "$sbin/mount.fuseblk.owfs"

t_image 64M
mkdir "$MNT"

# The helper is not of the name that t_umount waits for.
gone()
{
	umount "$MNT"
	flock -w 20 "$IMG" true || t_fail "$1: the image is not free"
	! t_is_mounted "$MNT" || t_fail "$1: still mounted"
}
options()
{
	findmnt -n -o OPTIONS "$MNT"
}

mount -t owfs "$IMG" "$MNT"
t_same "type" "$(findmnt -n -o FSTYPE "$MNT")" fuseblk.owfs
echo text > "$MNT/file"
gone "type owfs"
mount -t fuse.owfs -o noexec,ro "$IMG" "$MNT"
t_same "contents" "$(cat "$MNT/file")" text
t_expect_out '^ro,.*noexec' options
gone "type fuse.owfs"
mount -t owfs -o loop,commit=7 "$IMG" "$MNT"
t_expect_out '^/dev/loop' findmnt -n -o SOURCE "$MNT"
gone "loop"
[ -z "$(losetup -j "$IMG")" ] || t_fail "loop: the loop device stays"
t_ok "types"

cat > "$T/fstab" <<END
$IMG $MNT owfs rw,defaults,noauto,nofail,users,noatime,_netdev,comment=x,x-systemd.device-timeout=10s,x-systemd.automount,x-gvfs-show,X-mount.mkdir=755,relatime,lazytime,noiversion,silent 0 2
END
mount -T "$T/fstab" "$MNT"
# "users" means these three
t_expect_out '^rw,nosuid,nodev,noexec' options
gone "fstab"
sed -i 's/rw,.* 0 2/errors=remount-ro,commit=60,exec 0 0/' "$T/fstab"
mount -T "$T/fstab" -a
cp /bin/true "$MNT/true"
"$MNT/true"
mount -T "$T/fstab" -o remount,ro,noexec "$MNT"
t_expect_out '^ro,.*noexec' options
t_expect_out 'Read-only file system' touch "$MNT/new"
mount -o remount,rw,exec "$MNT"
touch "$MNT/new"
gone "fstab"
t_ok "fstab and remount"

t_expect_out "unknown option 'comit=5'; is 'commit' meant" mount -t owfs -o comit=5 "$IMG" "$MNT"
t_expect 1 mount -t owfs -o comit=5 "$IMG" "$MNT"
mount -s -t owfs -o comit=5 "$IMG" "$MNT"
gone "sloppy"
t_expect 0 mount -f -t owfs "$IMG" "$MNT"
! t_is_mounted "$MNT" || t_fail "a fake mount was made"
t_ok "words that are unknown"

# mount(8) hands on all that the table of mounts says
for options in noatime,commit=7 noatime,plain; do
	mount -t owfs -o $options "$IMG" "$MNT"
	mount -o remount,ro,nosuid "$MNT" || t_fail "$options: remount,ro"
	t_expect_out '^ro,nosuid.*noatime' options
	mount -o remount,rw "$MNT" || t_fail "$options: remount,rw"
	t_expect_out '^rw,' options
	t_expect_out "unknown option 'comit=5'; is 'commit' meant" \
		mount -o remount,ro,comit=5 "$MNT"
	t_expect_out '^rw,' options
	gone "remount"
done
t_ok "remounting"

# in a part of a file, where mount(8) makes the loop device
truncate -s 80M "$T/disk"
"$MKFS" -q -o offset=4M "$T/disk" 64M
mount -t owfs -o offset=4M,sizelimit=64M "$T/disk" "$MNT"
: > "$MNT/here"
umount "$MNT"
flock -w 20 "$T/disk" true
"$FSCK" -n -f -o offset=4M,sizelimit=64M "$T/disk" > "$T/out" || t_fail "$(cat "$T/out")"
t_expect_out 'mode=' "$DUMP" -o offset=4M "$T/disk" path /here
t_ok "a part of a file"

# a medium that cannot be written
DEV=$(losetup --show -r -f "$IMG")
mount -t owfs "$DEV" "$MNT" > "$T/out" 2>&1
grep -q 'write-protected, mounted read-only' "$T/out" || t_fail "says: $(cat "$T/out")"
t_expect_out '^ro,' options
umount "$MNT"
flock -w 20 "$IMG" true
losetup -d "$DEV"
DEV=$IMG
t_fsck
t_ok "a read-only device"

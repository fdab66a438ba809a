#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Without root: plain fuse over an image file of one's own; after fusermount3
# -u everything is there.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd chattr setpriv fusermount3 unshare

# A mount namespace of its own, where others may open /dev/fuse.
if [ -z "${OWN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || t_skip "cannot have a mount namespace here"
	OWN_NAMESPACE=yes unshare -m "$BASH" "$0" || exit
	exit 0
fi
mkdir "$T/dev"
mount -t tmpfs -o mode=755 none "$T/dev"
cp -a /dev/fuse "$T/dev/fuse"
chmod 666 "$T/dev/fuse"
mount --bind "$T/dev/fuse" /dev/fuse

user=65534
chmod 755 "$T"
mkdir "$T/home"
chown $user:$user "$T/home"
as()
{
	setpriv --reuid=$user --regid=$user --clear-groups "$@"
}
as test -x "$OWFS_FUSE" || t_skip "the build is in a place others may not enter"
as test -w /dev/fuse || t_skip "others may not open /dev/fuse"

as "$MKFS" -q "$T/home/img" 64M
as mkdir "$T/home/mnt"
as "$OWFS_FUSE" "$T/home/img" "$T/home/mnt"
as sh -c "echo mine > '$T/home/mnt/file'"
t_expect 1 cat "$T/home/mnt/file"	# not even root, without allow_other
# he is the administrator of what is his
ioctls=$top_builddir/tests/mount/ioctls
t_expect 0 as "$ioctls" setlabel "$T/home/mnt" mine
t_same "label" "$(as "$ioctls" label "$T/home/mnt")" mine
as "$ioctls" trim "$T/home/mnt" 0 -1 0 > /dev/null || t_fail "he may not trim"
t_expect 1 as chattr +i "$T/home/mnt/file"
as chattr +d "$T/home/mnt/file" || t_fail "chattr +d of his own"
as fusermount3 -u "$T/home/mnt"
t_wait_until t_no_server || t_fail "the server lives on"
as "$OWFS_FUSE" "$T/home/img" "$T/home/mnt"
t_same "after remount" "$(as cat "$T/home/mnt/file")" mine
# nothing was synced: the last close starts a commit, umount need not wait
as sh -c "seq 100000 > '$T/home/mnt/numbers'"
as fusermount3 -u "$T/home/mnt"
t_wait_until t_no_server || t_fail "the server lives on"
DEV=$T/home/img t_fsck
as "$OWFS_FUSE" -o ro "$T/home/img" "$T/home/mnt"
t_same "numbers" "$(as cksum < <(as cat "$T/home/mnt/numbers"))" "$(seq 100000 | cksum)"
as fusermount3 -u "$T/home/mnt"
t_wait_until t_no_server || t_fail "the server lives on"
t_ok "an ordinary user keeps his files"

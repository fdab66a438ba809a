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

# what only a line of fuse.conf allows is refused by name, and nothing is left
echo '# empty' > "$T/fuse.conf"
if [ -e /etc/fuse.conf ]; then
	mount --bind "$T/fuse.conf" /etc/fuse.conf
	as "$OWFS_FUSE" -o allow_other "$T/home/img" "$T/home/mnt" > "$T/out" 2>&1 &&
		t_fail "allow_other without the administrator's word"
	grep -q user_allow_other "$T/out" || { cat "$T/out"; t_fail "no hint at fuse.conf"; }
	echo user_allow_other > "$T/fuse.conf"
	as "$OWFS_FUSE" -o allow_other "$T/home/img" "$T/home/mnt"
	t_same "for others" "$(cat "$T/home/mnt/file")" mine
	as fusermount3 -u "$T/home/mnt"
	t_wait_until t_no_server || t_fail "the server lives on"
	umount /etc/fuse.conf
	t_ok "allow_other is the administrator's to allow"
fi

# an image that the user may only read
chmod 444 "$T/home/img"
chown root "$T/home/img"
t_expect_out '-o ro mounts read-only' as "$OWFS_FUSE" "$T/home/img" "$T/home/mnt"
as "$OWFS_FUSE" -o ro "$T/home/img" "$T/home/mnt"
t_same "read-only image" "$(as cat "$T/home/mnt/file")" mine
as fusermount3 -u "$T/home/mnt"
t_wait_until t_no_server || t_fail "the server lives on"
chown $user "$T/home/img"
chmod 644 "$T/home/img"
t_ok "a read-only image is read"

# root in a user namespace of his own: no fusermount3, and the kernel tells the
# server as little as in any plain mount, so the last close must start a commit
if ! as unshare -Urm true 2>/dev/null; then
	echo "no user namespaces here"
	exit 0
fi
cat > "$T/inside" <<'END'
set -eu
owfs_fuse=$1 home=$2
# who owned files outside is nobody in here
"$owfs_fuse" "$home/img" "$home/mnt"
cat "$home/mnt/file"
stat -c %u:%g "$home/mnt/file"
! touch "$home/mnt/new" 2>/dev/null || echo wrote where he may not
umount "$home/mnt"
flock -w 10 "$home/img" true
# unless the mount says whose they are
"$owfs_fuse" -o uid=0,gid=0,commit=3600 "$home/img" "$home/mnt"
stat -c %u:%g "$home/mnt/file"
umask 027
echo inside > "$home/mnt/from inside"
kill -KILL $$
END
as unshare -Urm sh "$T/inside" "$OWFS_FUSE" "$T/home" > "$T/out" 2>&1 || true
in_the_image()
{
	"$DUMP" "$T/home/img" path '/from inside' 2>/dev/null | grep -q mode=0100640
}
t_wait_until in_the_image || { cat "$T/out"; t_fail "the last close committed nothing"; }
t_same "seen inside" "$(grep -v Killed "$T/out")" $'mine\n65534:65534\n0:0'
t_same "owner on the device" "$("$DUMP" "$T/home/img" path '/from inside' |
	grep -o 'uid=[0-9]* gid=[0-9]*')" "uid=$user gid=$user"
t_kill_server
DEV=$T/home/img t_fsck
t_ok "root of a user namespace mounts"

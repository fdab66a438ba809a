#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# uid= and gid=: every file is shown as this user's, who may use it; on the
# device owners stay, and new files belong there to the owner of the directory.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd setpriv

user=65534
as()
{
	setpriv --reuid=$user --regid=$user --clear-groups "$@"
}
owners()
{
	(cd "$MNT" && find . -printf '%U:%G %p\n' | LC_ALL=C sort -k 2)
}

chmod 755 "$T"
t_image 64M
t_mount
mkdir "$MNT/his"
echo text > "$MNT/his/file"
chmod 600 "$MNT/his/file"
cp /bin/true "$MNT/his/tool"
chmod 4755 "$MNT/his/tool"
chown -R 1234:2345 "$MNT/his"
chmod 4755 "$MNT/his/tool"
t_umount

t_mount -o uid=$user,gid=$user
t_same "owners that are shown" "$(owners | cut -d ' ' -f 1 | sort -u)" $user:$user
t_expect_out 'nosuid,nodev' grep -F " $MNT " /proc/self/mounts
as sh -c "cd '$MNT/his' && echo more >> file && cat file > copy &&
	mkdir dir && ln -s file link && ln file hard && : > dir/new && mv dir moved"
t_same "contents" "$(cat "$MNT/his/copy")" $'text\nmore'
# what tar and cp -p do is no error if it changes nothing
as chown $user:$user "$MNT/his/file"
as cp -p "$MNT/his/file" "$MNT/his/kept"
t_expect_out 'not permitted' chown 0 "$MNT/his/file"
t_expect_out 'not permitted' chgrp 0 "$MNT/his/file"
t_same "owners that are shown" "$(owners | cut -d ' ' -f 1 | sort -u)" $user:$user
as chmod 640 "$MNT/his/file"
t_same "one by one" "$(stat -c '%u:%g %a' "$MNT/his/file")" "$user:$user 640"
t_umount

t_mount
t_same "owners on the device" "$(owners | grep his | cut -d ' ' -f 1 | sort -u)" 1234:2345
t_same "owner of the root directory" "$(stat -c %u:%g "$MNT")" 0:0
t_same "mode" "$(stat -c %a "$MNT/his/file")" 640
t_umount

# one of the two, by name, and with the user's word on set-id bits
t_mount -o uid=nobody,suid
t_expect_out "^$(id -u nobody):2345\$" stat -c %u:%g "$MNT/his/file"
! grep -F " $MNT " /proc/self/mounts | grep -q nosuid || t_fail "suid was not heard"
setpriv --reuid="$(id -u nobody)" --regid=77 --clear-groups touch "$MNT/his/hers"
t_same "shown" "$(stat -c %u:%g "$MNT/his/hers")" "$(id -u nobody):77"
t_umount
t_mount
t_same "stored" "$(stat -c %u:%g "$MNT/his/hers")" 1234:77
t_umount
t_fsck
t_expect_out 'no such user' "$OWFS_FUSE" -o uid=no-such-user "$DEV" "$MNT"
t_expect_out 'uid= and gid=' "$OWFS_FUSE" -o umask=022 "$DEV" "$MNT"
t_ok "owners are changed for the eye alone"

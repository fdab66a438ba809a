#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Whoever changes a file or its owner takes its set-id bits away, and the
# kernel hears of it at once.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd setpriv

t_image 64M
t_mount
chmod 755 "$T"
chmod 1777 "$MNT"
cd "$MNT"
as()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# Each begins with mode 6777; "stat -c %a" asks for the mode alone, so that a
# stale one would show.
after()
{
	local what=$1 want=$2

	shift 2
	chmod 6777 file
	"$@"
	t_same "mode after $what" "$(stat -c %a file)" "$want"
}
echo data > file
after "chown" 777 chown 1:1 file
chown 65534:65534 file
after "the owner's chown to nobody else" 777 as chown : file
chown 1:1 file
after "another user's chown to nobody else" 6777 as chown : file
after "a user's write" 777 as sh -c 'echo more >> file'
after "a user's direct write" 777 as dd if=/dev/zero of=file bs=4096 count=1 \
	oflag=direct conv=notrunc status=none
after "a user's truncate" 777 as truncate -s 1 file
after "a user's O_TRUNC" 777 as sh -c ': > file'
after "a user's fallocate" 777 as fallocate -l 100000 file
after "root's write" 6777 sh -c 'echo root >> file'
cd /
t_remount
cd "$MNT"
t_same "mode on disk" "$(stat -c %a file)" 6777
after "a user's write" 777 as sh -c 'echo more >> file'

# without the right to execute, set-gid is no set-id bit
chmod 2767 file
chown 2:2 file
t_same "mandatory locking stays" "$(stat -c %a file)" 2767

mkdir dir
chown 0:5 dir
chmod 2775 dir
touch dir/file
mkdir dir/sub
t_same "group of a new file" "$(stat -c %g dir/file)" 5
t_same "mode of a new directory" "$(stat -c %a dir/sub)" 2755
cd /
t_umount
t_fsck
t_ok "set-id bits go when they must"

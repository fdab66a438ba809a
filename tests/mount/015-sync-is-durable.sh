#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# On fuseblk sync(2) and syncfs(2) are durable: what was there when they
# returned is there after kill -9 of the server a moment later, by mtime, by
# byte and by name.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop

rounds=${ROUNDS-3}
t_image 256M
cp -a "${top_srcdir:?}/fs" "$T/fs"

check()
{
	local how=$1 round=$2 dir=$MNT/$1-$2

	mkdir "$dir"
	cp -a "$T/fs" "$dir/tree"
	seq 10000 > "$dir/numbers"
	ln "$dir/numbers" "$dir/more-numbers"
	mv "$dir/tree/file" "$dir/moved"
	rm -r "$dir/tree/base"
	t_listing "$dir" > "$T/want"
	case $how in
	sync)	sync ;;
	syncfs)	sync -f "$MNT" ;;
	esac
	t_kill_server
	t_mount
	t_listing "$dir" > "$T/got"
	diff "$T/want" "$T/got" > "$T/diff" ||
		{ head -n 20 "$T/diff"; t_fail "$how, round $round"; }
	diff -r "$T/fs/file" "$dir/moved"
	diff -r "$T/fs/space" "$dir/tree/space"
	t_same "$how" "$(cksum < "$dir/more-numbers")" "$(seq 10000 | cksum)"
}

t_mount -o commit=60
for round in $(seq "$rounds"); do
	check sync "$round"
	check syncfs "$round"
done
t_umount
t_fsck
t_ok "$rounds rounds of sync and of syncfs"

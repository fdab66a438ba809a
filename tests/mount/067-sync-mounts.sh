#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -o dirsync: what is done to names is durable when the call returns; -o sync:
# so is what is done to files.  Nobody asks for a commit otherwise.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root

crash()
{
	t_kill_server
	t_mount -o "$options"
	cd "$D"
}

names()
{
	mkdir "$D"
	cd "$D"
	: > made
	crash
	[ -e made ] || t_fail "$options: created"
	mkdir dir
	crash
	mv made dir/moved
	crash
	[ -e dir/moved ] || t_fail "$options: moved"
	ln dir/moved name
	crash
	ln -s name link
	mkfifo fifo
	crash
	rm dir/moved
	crash
	t_same "$options: names" "$(find . | LC_ALL=C sort | tr '\n' ' ')" \
		". ./dir ./fifo ./link ./name "
	rmdir dir
	crash
	[ ! -e dir ] || t_fail "$options: removed"
}

contents()
{
	echo text > file
	crash
	t_same "$options: written" "$(cat file)" text
	chmod 4711 file
	crash
	truncate -s 2 file
	crash
	t_same "$options: cut" "$(stat -c '%s %a' file)" "2 4711"
	touch -d '2001-02-03 04:05:06 UTC' file
	fallocate -l 100000 file
	crash
	t_same "$options: longer" "$(stat -c '%s' file)" 100000
	mv file "$MNT/last"
}

D=$MNT/d
for how in rw plain; do
	t_image 64M
	options=commit=3600,dirsync,$how
	t_mount -o "$options"
	names
	cd /
	t_umount
	t_image 64M
	options=commit=3600,sync,$how
	t_mount -o "$options"
	names
	contents
	crash
	[ -e "$MNT/last" ] || t_fail "$options: moved"
	cd /
	t_umount
	t_fsck
	t_ok "$how"
done

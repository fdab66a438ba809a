#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The filesystem mounted again with other owners, as containers do: what is
# made there is stored with the owners of the device, and is shown with those
# of the mount.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd setpriv

as()
{
	local user=$1

	shift
	setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
}
owner()
{
	stat -c %u:%g "$1"
}

chmod 755 "$T"
there=$T/there
for options in rw plain writeback; do
	t_image 64M
	t_mount -o $options
	mkdir -m 777 "$MNT/d" "$there"
	cd "$MNT/d"
	echo old > old
	chown 5:6 old
	status=0
	"$top_builddir/tests/mount/idmap" "$MNT/d" "$there" 0 10000 1000 || status=$?
	[ $status -ne 77 ] || { cd /; t_skip "no idmapped mounts of FUSE here"; }
	[ $status -eq 0 ] || t_fail "cannot map owners"
	t_same "shown" "$(owner "$there/old")" 10005:10006
	cd "$there"
	as 10007 sh -c "echo new > new && mkdir dir && ln -s new link &&
		mkfifo fifo && ln new hard && mv fifo dir/fifo && : > dir/file"
	for file in new dir link hard dir/fifo dir/file; do
		t_same "$file there" "$(owner "$file")" 10007:10007
		t_same "$file on the device" "$(owner "$MNT/d/$file")" 7:7
	done
	chown 10008:10009 new
	t_same "given away" "$(owner "$MNT/d/new")" 8:9
	t_expect 1 chown 8 new			# nobody there
	t_expect_out 'Permission denied' as 10007 sh -c 'echo >> new'	# his no more
	as 10008 sh -c 'echo more >> new'
	t_same "contents" "$(cat "$MNT/d/new")" $'new\nmore'

	# the kernel does not say who asks now: set-id bits go and stay as ever
	for dir in "$there" "$MNT/d"; do
		user=$(stat -c %u "$dir/new")
		cd "$dir"
		for how in 'fallocate -l 8192 new' 'echo >> new' 'truncate -s 77 new'; do
			chmod 6777 new
			as "$user" sh -c "$how"
			t_same "$dir: mode after a user's $how" "$(stat -c %a new)" 777
		done
	done
	cd "$MNT/d"
	chmod 6777 new
	fallocate -l 100000 new
	t_same "mode after root's fallocate" "$(stat -c %a new)" 6777
	cp --reflink=never old copy
	cat copy >> new
	t_same "mode after root's write" "$(stat -c %a new)" 6777
	cd /
	umount "$there"
	rmdir "$there"
	t_remount -o $options
	t_same "stored" "$(owner "$MNT/d/new") $(owner "$MNT/d/dir/file")" "8:9 7:7"
	t_umount
	t_fsck
	t_ok "$options: owners are mapped"
done

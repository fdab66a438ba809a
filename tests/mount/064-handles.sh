#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# File handles, by which an NFS server names files: they lead to the same file
# after its inode has left the caches, after a remount and after a crash, and
# never to another one; that of a removed file is stale for ever.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root

handles=$top_builddir/tests/mount/handles

# What the handles lead to.
opened()
{
	"$handles" open "$MNT" < "$T/handles"
}

round()
{
	t_same "$1" "$(opened)" "$(cat "$T/want")"
}

for how in rw plain; do
	t_image 64M
	t_mount -o $how
	mkdir -p "$MNT/a/b/c"
	seq 1000 > "$MNT/a/b/c/file"
	ln "$MNT/a/b/c/file" "$MNT/a/name"
	seq 10 > "$MNT/gone"
	seq 20 > "$MNT/moved"
	cd "$MNT"
	"$handles" take . a/b/c a/b/c/file a/name moved gone > "$T/handles"
	stat -c '%i %s %F' . a/b/c a/b/c/file a/name moved gone |
		sed 's/regular //' > "$T/want"
	cd /
	round "$how: at once"
	sync -f "$MNT"
	echo 2 > /proc/sys/vm/drop_caches
	round "$how: dropped from the caches"
	mv "$MNT/moved" "$MNT/a/b/elsewhere"
	mv "$MNT/a/b" "$MNT/b"
	t_same "$how: moved" "$(opened | tail -n 2)" "$(tail -n 2 "$T/want")"
	t_remount -o $how
	t_same "$how: after a remount" "$(opened | tail -n 5)" "$(tail -n 5 "$T/want")"
	sync "$MNT/a"
	t_kill_server
	t_mount -o $how
	t_same "$how: after a crash" "$(opened | tail -n 5)" "$(tail -n 5 "$T/want")"

	# removed; and whatever comes afterwards is something else
	rm "$MNT/gone"
	sed -i '$d' "$T/want"
	echo 'Stale file handle' >> "$T/want"
	t_same "$how: removed" "$(opened | tail -n 1)" 'Stale file handle'
	for i in $(seq 50); do
		echo other > "$MNT/other$i"
	done
	t_same "$how: others came" "$(opened | tail -n 5)" "$(tail -n 5 "$T/want")"
	t_remount -o $how
	t_same "$how: removed, after a remount" "$(opened | tail -n 5)" \
		"$(tail -n 5 "$T/want")"
	rm -r "$MNT/b"
	t_same "$how: all removed" "$(opened | sed -n '2p;5p')" \
		$'Stale file handle\nStale file handle'
	t_umount
	t_fsck
	t_ok "$how: handles stay true"
done

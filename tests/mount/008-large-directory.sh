#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many names in one directory: all there, each once, also after a remount, and
# while names come and go during the listing.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

n=${NAMES-20000}
t_image 256M
t_mount
mkdir "$MNT/d"
seq -f "$MNT/d/file-%06.0f" "$n" | xargs touch
t_same "entries" "$(ls -f "$MNT/d" | grep -c '^file-')" "$n"
t_remount
t_same "entries after remount" "$(find "$MNT/d" -type f | sort -u | wc -l)" "$n"
(seq -f "$MNT/d/other-%06.0f" 3000 | xargs touch
 seq -f "$MNT/d/other-%06.0f" 3000 | xargs rm -f) &
for _ in 1 2 3; do
	t_same "entries while others change" \
		"$(ls -f "$MNT/d" | grep '^file-' | sort | uniq | wc -l)" "$n"
	t_same "none twice" "$(ls -f "$MNT/d" | grep '^file-' | sort | uniq -d | wc -l)" 0
done
wait
rm -r "$MNT/d"
t_same "all gone" "$(find "$MNT" -mindepth 1 -not -name lost+found | wc -l)" 0
t_umount
t_fsck
t_ok "$n names"

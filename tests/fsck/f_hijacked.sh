#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device that hijacks a program that looks at it (hijacked.c) reaches nothing
# by that: no file, no socket, no other process.  Without the sandbox the same
# attempts succeed, so that they are some.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/fsck/hijacklib.sh"

fresh_image()
{
	cp --sparse=always "$T/template" "$IMG"
}

t_image 32M
mkdir "$T/point"
cp --sparse=always "$IMG" "$T/template"
locks_itself_in "$here/hijacked-dump" "$IMG" tree
locks_itself_in "$here/hijacked-fsck" -f -n "$IMG"
locks_itself_in "$here/hijacked-fsck" -f -y "$IMG"
locks_itself_in "$here/hijacked-fsck" "$IMG"
locks_itself_in "$here/hijacked-mkfs" "$IMG"
locks_itself_in "$here/hijacked-mkfs" -n -f "$IMG"
locks_itself_in "$here/hijacked-mkfs" -f "$IMG" 64M

# something to be undone
addr=$("$DUMP" "$IMG" superblock | sed -n 's/^    tree: addr=\([0-9]*\).*/\1/p' | head -n 1)
printf '\377' | dd of="$IMG" bs=1 seek=$((addr * 4096 + 70)) conv=notrunc status=none
t_expect 1 "$FSCK" -f -y --undo "$T/undo" "$IMG"
cp --sparse=always "$IMG" "$T/template"
locks_itself_in "$here/hijacked-fsck" --restore "$T/undo" "$IMG"

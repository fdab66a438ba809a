#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# When the worker is killed nothing hangs: callers get an error at once, the
# mount goes away, and the next mount works.  When the parent is killed the
# worker serves on until umount.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 64M
t_mount
echo durable > "$MNT/file"
sync "$MNT/file"
kill -KILL "$(t_worker)"
start=$SECONDS
timeout 10 ls "$MNT" > /dev/null 2>&1 || true
t_wait_until t_no_server || t_fail "the parent stays"
[ $((SECONDS - start)) -le 3 ] || t_fail "access hung for $((SECONDS - start)) s"
t_is_mounted "$MNT" && t_fail "the dead mount is still there"
t_mount
t_same "what was synced" "$(cat "$MNT/file")" durable
t_ok "a dead worker leaves nothing behind"

parent=$(t_parent)
kill -KILL "$parent"
t_wait_until test ! -e "/proc/$parent" || t_fail "the parent does not die"
t_same "without a parent" "$(cat "$MNT/file")" durable
echo later > "$MNT/later"
t_umount
t_mount
t_same "served without a parent" "$(cat "$MNT/later")" later
t_umount
t_fsck
t_ok "a dead parent is not missed"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGTERM unmounts in good order: nothing is lost, with open files too.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 64M
t_mount
echo first > "$MNT/file"
kill -TERM $(t_servers)
t_wait_until t_no_server || t_fail "SIGTERM does not end the server"
! t_is_mounted "$MNT" || t_fail "still mounted"
t_fsck
t_mount
t_same "after SIGTERM" "$(cat "$MNT/file")" first

exec 5>> "$MNT/file"
echo second >&5
kill -TERM $(t_servers)
sleep 0.5
echo third >&5 || t_fail "an open file was cut off"
exec 5>&-
t_wait_until t_no_server || t_fail "the server does not end after the last close"
t_mount
t_same "with an open file" "$(tail -n 1 "$MNT/file")" third
t_umount
t_fsck
t_ok "SIGTERM loses nothing"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# When the worker is killed nothing hangs: callers get an error at once, the
# mount goes away, and the next mount works.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 64M
t_mount
echo durable > "$MNT/file"
sync "$MNT/file"
set -- $(t_servers)
[ $# -ge 1 ] || t_fail "no server"
# parent and worker: the worker is the one with a parent among them
worker=
for pid; do
	ppid=$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")
	case " $* " in
	*" $ppid "*)	worker=$pid ;;
	esac
done
[ -n "$worker" ] || t_fail "no worker among: $*"
kill -KILL "$worker"
start=$SECONDS
timeout 10 ls "$MNT" > /dev/null 2>&1 || true
t_wait_until t_no_server || t_fail "the parent stays"
[ $((SECONDS - start)) -le 3 ] || t_fail "access hung for $((SECONDS - start)) s"
t_is_mounted "$MNT" && t_fail "the dead mount is still there"
t_mount
t_same "what was synced" "$(cat "$MNT/file")" durable
t_umount
t_fsck
t_ok "a dead worker leaves nothing behind"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# While fsck.owfs and owfs-dump read a device they have a list of system calls
# and no rights.  Seen while they wait to write into a pipe that is full.
. "${top_srcdir:?}/tests/lib/testlib.sh"
case $("$OWFS_FUSE" -V) in
*'sandbox: whole'*)	;;
*)	t_skip "$("$OWFS_FUSE" -V | grep sandbox)" ;;
esac

t_image 16M
mkfifo "$T/full"
exec 7<> "$T/full"
dd if=/dev/zero of="$T/full" bs=4096 count=64 oflag=nonblock 2>/dev/null || true

locked_in()
{
	grep -q '^Seccomp:[[:space:]]*2' "/proc/$1/status" &&
		grep -q '^NoNewPrivs:[[:space:]]*1' "/proc/$1/status" &&
		grep -Eq '^CapEff:[[:space:]]*000000000[01]000000' "/proc/$1/status"
}

look()
{
	"$@" &
	pid=$!
	t_wait_until locked_in $pid ||
		{ kill $pid; t_fail "$*: has all its rights and calls"; }
	kill -KILL $pid
	wait $pid 2>/dev/null || true
}

look "$FSCK" -f -n -C 7 "$IMG"
look "$FSCK" -f -y -C 7 "$IMG"
look "$DUMP" "$IMG" tree >&7
exec 7>&-
t_ok "programs that look at a device are locked in"

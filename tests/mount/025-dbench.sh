#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dbench: what the clients of a file server do, several at once.
#
#	DBENCH_SECONDS=N
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_cmd dbench ipcmk

# dbench takes the first semaphore of a machine, number 0, for a failure.
semaphore=$(ipcmk -S 1 | grep -o '[0-9]*$')
free_semaphore()
{
	ipcrm -s "$semaphore"
}
t_at_exit=free_semaphore

t_image 1G
for options in commit=5 commit=1,plain; do
	t_mount -o $options
	dbench -D "$MNT" -t "${DBENCH_SECONDS-3}" 4 > "$T/out" 2>&1 ||
		{ tail -n 20 "$T/out"; t_fail "dbench, $options"; }
	! grep -iE 'fail|error|no such' "$T/out" || t_fail "dbench, $options"
	t_ok "$options: $(grep Throughput "$T/out")"
	t_remount
	find "$MNT" -type f -exec cat {} + > /dev/null
	rm -rf "${MNT:?}"/*
	t_umount
	t_fsck
done

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -o writeback, where the kernel keeps written pages: all that other scripts
# claim of files holds (random operations: 020-fsx.sh), fsync keeps its word,
# times are those of the write, copies miss nothing, and a full device is told
# of at fsync and close.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root

# The scripts that look at files, over such a mount.
again()
{
	local status=0

	T_MOUNT_OPTIONS=writeback "$BASH" "$top_srcdir/tests/mount/$1.sh" \
		> "$T/again" 2>&1 || status=$?
	[ $status -eq 0 ] || [ $status -eq 77 ] ||
		{ cat "$T/again"; t_fail "$1 with writeback"; }
	t_ok "$1: $(tail -n 1 "$T/again")"
}
again 002-file-operations
again 011-programs
again 012-system-calls
again 018-set-id-bits
ROUNDS=1 again 003-synced-survives-kill
ROUNDS=1 again 015-sync-is-durable

t_image 64M
t_mount -o writeback
cd "$MNT"

# not on the server yet, in a file full of holes
truncate -s 1M file
exec 5<> file
printf 'kept back' >&5
cp --sparse=auto file copy
cmp file copy || t_fail "a copy misses what was written last"
t_ok "what is kept back is copied"

# the times of the write, and not those of its arrival
when=$(stat -c %y%z file)
sync -f .
t_same "times after sync" "$(stat -c %y%z file)" "$when"
exec 5>&-
cd /
t_remount -o writeback
t_same "times after a remount" "$(stat -c %y%z "$MNT/file")" "$when"
t_ok "times are those of the write"

# a full device
cd "$MNT"
t_expect 1 dd if=/dev/zero of=big bs=1M count=100 conv=fsync
grep -q 'No space left' "$T/out" || { cat "$T/out"; t_fail "fsync: no ENOSPC"; }
rm big
t_expect_out 'No space left' dd if=/dev/zero of=big bs=1M count=100
rm big
free_again()
{
	[ "$(stat -f -c %a .)" -gt $((48 * 256)) ]
}
t_wait_until free_again || t_fail "space did not come back"
head -c 20M /dev/urandom > "$T/data"
cp "$T/data" data
cd /
t_remount
cmp "$T/data" "$MNT/data" || t_fail "written after ENOSPC"
t_umount
t_fsck
t_ok "ENOSPC comes with fsync and close"

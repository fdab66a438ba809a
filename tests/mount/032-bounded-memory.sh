#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# cache= bounds what the server needs, however many files the kernel has seen.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
[ "$(printf '%s\n' 6.18 "$(uname -r)" | sort -V | head -n 1)" = 6.18 ] ||
	t_skip "before Linux 6.18 the kernel cannot be asked to forget"
if nm -D "$OWFS_FUSE" 2>/dev/null | grep -q -e __asan -e __tsan; then
	t_skip "a sanitizer has memory of its own"
fi

resident()
{
	awk '/^VmRSS/ { print $2 }' "/proc/$(t_worker)/status"
}

t_image 256M
t_mount -o cache=1M
mkdir "$MNT/d"
before=$(resident)
exec 9> "$MNT/d/held"
rm "$MNT/d/held"
seq -f "$MNT/d/%06g" 20000 | xargs touch
# 20,000 inodes would be some 13 MiB, on top of what ten threads need
is_small()
{
	[ $(($(resident) - before)) -lt 11000 ]
}
t_wait_until is_small ||
	t_fail "from $before to $(resident) KiB with 20000 files"
t_ok "making files"

t_same "files found" "$(find "$MNT/d" -type f -newermt 2000-01-01 | wc -l)" 20000
t_wait_until is_small ||
	t_fail "from $before to $(resident) KiB after a look at 20000 files"
t_ok "looking at files"

# what is in use stays, with a name or without
echo still here >&9
t_same "a file without a name" "$(cat /proc/self/fd/9)" "still here"
exec 9>&-
t_umount
t_fsck
t_ok "what is in use stays"

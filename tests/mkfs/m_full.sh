#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No room for the image: one line, and nothing is left of it.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"
t_require_root

mkdir "$T/small"
mount -t tmpfs -o size=16k none "$T/small" 2> /dev/null ||
	t_skip "may not mount a tmpfs"
m_refuses 'No space left' "$T/small/img" 16M
[ ! -e "$T/small/img" ] || t_fail "left a file behind"
for room in 4k 8k 12k 20k 24k; do
	mount -o remount,size=$room "$T/small"
	m_refuses 'No space left' "$T/small/img" 16M
	[ ! -e "$T/small/img" ] || t_fail "left a file behind"
done
truncate -s 1M "$T/small/img"
m_refuses 'No space left' "$T/small/img" 16M
t_same 'size' "$(stat -c %s "$T/small/img")" 1048576
mount -o remount,ro "$T/small"
m_refuses 'Read-only' -f "$T/small/img" 16M
m_refuses 'Read-only' "$T/small/new" 16M
umount "$T/small"
t_ok "a full host, a read-only host"

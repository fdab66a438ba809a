#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -n says what would be made, refuses what would be refused, writes nothing.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"

img=$T/img
t_expect_out 'would make an owfs' "$MKFS" -n "$img" 64M
t_expect 0 "$MKFS" -n "$img" 64M
[ ! -e "$img" ] || t_fail "-n created the file"
m_refuses 'too small' -n "$img" 1M

truncate -s 32M "$img"
m_dos_table "$img"
before=$(cksum < "$img")
m_refuses_untouched "$img" 'contains a dos partition table' -n "$img"
t_expect_out 'would overwrite a dos partition table' "$MKFS" -n -f "$img" 64M
t_same 'the file' "$(cksum < "$img")" "$before"
chmod a-w "$img"
t_expect 0 "$MKFS" -n -f "$img"
t_ok "nothing is written"

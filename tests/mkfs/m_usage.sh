#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Whatever is wrong with the arguments, one line says what to do.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"

img=$T/img
m_refuses 'no device given.*-h'
m_refuses 'unknown option "-x".*-h' -x "$img" 16M
m_refuses '-L needs a value' "$img" 16M -L
m_refuses 'give one DEVICE' "$img" 16M 17M
m_refuses '"many" is no size.*K, M, G or T' "$img" many
m_refuses '"0" is no size' "$img" 0
m_refuses '"16X" is no size' "$img" 16X
m_refuses 'larger than any file' "$img" 99999999T
m_refuses 'not a power of two from 4096 to 65536' -b 5000 "$img" 16M
m_refuses 'not a power of two from 4096 to 65536' -b 2048 "$img" 16M
m_refuses 'not a power of two from 4096 to 65536' -b 128K "$img" 1G
m_refuses 'single or dup' -m raid1 "$img" 16M
m_refuses 'is no uuid' -U 1234 "$img" 16M
m_refuses 'is no uuid' -U 00000000-0000-0000-0000-000000000000 "$img" 16M
m_refuses '64 bytes, at most 63' -L "$(printf '%064d' 0)" "$img" 16M
m_refuses 'give a SIZE to create' "$img"
m_refuses 'no such device' /dev/no-such-disk 16M
m_refuses 'neither a block device nor a regular file' "$T" 16M
m_refuses 'neither a block device nor a regular file' /dev/null 16M
m_refuses 'cannot create' "$T/none/img" 16M
: > "$img"
m_refuses 'is empty; give a SIZE' "$img"
rm "$img"
[ -z "$(ls "$T" | grep -vE '^(out|err)$')" ] || t_fail "something was created"

t_expect_out '^mkfs.owfs [0-9]' "$MKFS" -V
t_expect 0 "$MKFS" -V
t_expect_out '^usage: mkfs.owfs' "$MKFS" -h
t_ok "every slip is answered in one line"

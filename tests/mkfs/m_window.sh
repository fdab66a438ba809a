#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A filesystem in a part of a file: nothing around it changes, also with -f,
# and every program finds it there.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"

img=$T/img
part=offset=1M,sizelimit=32M

# All but the part, which is 32 MiB from 1 MiB on.
around()
{
	{ head -c 1M "$img"; tail -c +$((33 * 1048576 + 1)) "$img"; } | cksum
}

head -c 40M /dev/urandom > "$img"
m_dos_table "$img"
before=$(around)
"$MKFS" -q -o $part "$img"
t_same "around a new filesystem" "$(around)" "$before"
t_expect 0 "$FSCK" -f -o $part "$img"
t_expect 8 "$FSCK" -n -f "$img"
t_expect 16 "$FSCK" -o offset=x "$img"
t_expect_out 'nblocks: 8192' "$DUMP" -o $part "$img"
t_expect 1 "$DUMP" "$img"
m_refuses_untouched "$img" 'owfs filesystem; use -f' -o $part "$img"
"$MKFS" -q -f -o offset=1M "$img" 20M
t_same "around with -f and a size" "$(around)" "$before"
t_expect_out 'nblocks: 5120' "$DUMP" -o offset=1M "$img"
t_expect 0 "$FSCK" -f -o offset=1048576 "$img"

m_refuses_untouched "$img" 'sector' -f -o offset=1000 "$img"
m_refuses_untouched "$img" 'fewer than' -f -o $part "$img" 33M
m_refuses_untouched "$img" 'offset=BYTES.*"ro"' -f -o ro "$img"
m_refuses_untouched "$img" 'ends before the offset' -f -o offset=41M "$img"

# made or extended for it
"$MKFS" -q -f -o offset=64K "$img" 60M
t_same "size of the extended file" "$(stat -c %s "$img")" $((60 * 1048576 + 65536))
t_expect 0 "$FSCK" -f -o offset=64K "$img"
"$MKFS" -q -o offset=100M "$img" 16M
t_same "size behind a gap" "$(stat -c %s "$img")" $((116 * 1048576))
t_expect 0 "$FSCK" -f -o offset=64K,sizelimit=60M "$img"
t_expect 0 "$FSCK" -f -o offset=100M "$img"
rm "$img"
"$MKFS" -q -o offset=1M "$img" 16M
t_same "size of the new file" "$(stat -c %s "$img")" $((17 * 1048576))
t_expect 0 "$FSCK" -f -o offset=1M "$img"
t_ok "a part of a file is enough"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From the smallest to 64 TiB; what does not fit is refused before anything is
# written.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"

img=$T/img
m_refuses 'too small.*16 MiB and 4096' "$img" 16777215
m_refuses 'too small.*16 MiB and 4096' -b 64K "$img" 255M
[ ! -e "$img" ] || t_fail "left a file behind"

# smallest of each block size
for bs in 4 8 16 32 64; do
	rm -f "$img"
	"$MKFS" -q -b ${bs}K "$img" $((bs * 4))M
	"$FSCK" -f "$img" > "$T/out" || t_fail "fsck -b ${bs}K: $(cat "$T/out")"
done

# a size that is no multiple of anything; one just over the edge of a group
for size in 16777217 100000001 132120576 132124672 132775936 133000000; do
	rm -f "$img"
	"$MKFS" -q "$img" $size
	t_same "size of the file" "$(stat -c %s "$img")" $size
	"$FSCK" -f "$img" > "$T/out" || t_fail "fsck $size: $(cat "$T/out")"
done

# shorter than the file, longer than the file
truncate -s 64M "$img"
"$MKFS" -q -f "$img" 32M
t_same 'blocks' "$("$DUMP" "$img" superblock | sed -n 's/^  nblocks: //p')" 8192
t_same 'size' "$(stat -c %s "$img")" 67108864
"$MKFS" -q -f "$img" 128M
t_same 'size' "$(stat -c %s "$img")" 134217728
"$FSCK" -f "$img" > "$T/out" || t_fail "fsck: $(cat "$T/out")"
rm "$img"

# the largest
if truncate -s 64T "$T/probe" 2>/dev/null; then
	rm "$T/probe"
	start=$(date +%s%N)
	"$MKFS" -q "$img" 64T
	ms=$((($(date +%s%N) - start) / 1000000))
	used=$(du -k "$img" | cut -f 1)
	echo "64 TiB: $ms ms, $used KiB"
	[ $ms -lt 1000 ] || t_fail "64 TiB took $ms ms"
	[ "$used" -lt 8192 ] || t_fail "64 TiB took $used KiB"
	"$FSCK" -f "$img" > "$T/out" || t_fail "fsck 64T: $(cat "$T/out")"
	rm "$img"
fi

# larger than the host allows
(
	ulimit -f 20000
	m_refuses 'larger than 19.5 MiB here, and 1 TiB are wanted; ulimit -f unlimited' \
		"$img" 1T
) || exit 1
[ ! -e "$img" ] || t_fail "left a file behind"
truncate -s 1M "$img"
(
	ulimit -f 20000
	m_refuses_untouched "$img" 'ulimit -f unlimited lifts that' "$img" 1T
) || exit 1
truncate -s 1G "$img"
(
	ulimit -f 20000
	m_refuses 'and 1 GiB are wanted; ulimit -f unlimited lifts that' "$img"
	m_refuses 'and 1 GiB are wanted; ulimit -f unlimited lifts that' -f "$img"
) || exit 1
t_ok "all sizes"

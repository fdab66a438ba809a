#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real tree goes in and is the same after unmount and mount: bytes, modes,
# owners, times, links.  The check finds nothing.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 512M
t_mount
src=$T/src
mkdir "$src"
cp -a /usr/include "$src/include"
ln -s include/stdio.h "$src/soft"
ln "$src/include/stdio.h" "$src/hard"
mkdir -m 1777 "$src/sticky"
: > "$src/empty"
truncate -s 5G "$src/sparse"
printf end | dd of="$src/sparse" bs=1 seek=4G conv=notrunc status=none
touch -d '1955-11-05 06:00:00.123456789 UTC' "$src/empty"

cp -a --sparse=always "$src/." "$MNT/"
t_remount
rmdir "$MNT/lost+found" 2>/dev/null || true
t_listing "$src" > "$T/want"
t_listing "$MNT" > "$T/got"
diff -u "$T/want" "$T/got" | head -n 20
cmp -s "$T/want" "$T/got" || t_fail "metadata differs"

diff -r --no-dereference --exclude=sparse "$src" "$MNT" || t_fail "contents differ"
t_same "end of the sparse file" \
	"$(dd if="$MNT/sparse" bs=1 skip=4G count=3 status=none)" end
[ "$(stat -c %b "$MNT/sparse")" -lt 1000 ] || t_fail "sparse file is not sparse"
t_umount
t_fsck
t_ok "$(wc -l < "$T/want") files are as they were"

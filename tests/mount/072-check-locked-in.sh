#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A filesystem in use is checked inside the sandbox, too: whether the device is
# read, or each block is asked of the server, and what is mended is durable.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
. "$top_srcdir/tests/fsck/hijacklib.sh"

# One that was killed is forgotten after some seconds, so there are few attempts.
ATTEMPTS='read write socket'
fresh_image()
{
	t_wait_until "$FSCK" -n "$MNT" > "$T/fsck.out" 2>&1 ||
		t_fail "the check before: $(cat "$T/fsck.out")"
}

t_image 64M -m dup
t_mount
cp -a "$top_srcdir/fs/base" "$MNT/"
sync -f "$MNT"
mkdir -p "$T/point"
locks_itself_in "$here/hijacked-fsck" -n "$MNT"

fresh_image

# a bad copy
addr=$("$DUMP" "$IMG" | sed -n 's/^    tree: addr=\([0-9]*\).*/\1/p' | head -n 1)
printf '\377' | dd of="$IMG" bs=1 seek=$((addr * 4096 + 70)) conv=notrunc status=none
t_expect 1 "$FSCK" --scrub "$MNT"
t_expect 0 "$FSCK" --scrub "$MNT"
# nor has the commit before the last
for i in 1 2; do
	: > "$MNT/$i"
	sync -f "$MNT"
done
t_umount
t_fsck

# where the device is not to be found each block is asked of the server
t_mount -o plain
mv "$IMG" "$T/moved"
t_expect 0 "$FSCK" -n "$MNT"
mv "$T/moved" "$IMG"
t_umount
t_ok "a check of what is in use is locked in, and works"

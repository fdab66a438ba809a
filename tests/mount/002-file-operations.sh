#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What programs do to files, one claim each.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 256M
t_mount
cd "$MNT"

# names
mkdir -p a/b/c
echo one > a/f
ln a/f a/b/g
t_same "link count" "$(stat -c %h a/f)" 2
mv a/b/g a/b/c/h
t_same "through the other name" "$(cat a/b/c/h)" one
mv a/b/c d
t_same "moved directory" "$(cat d/h)" one
t_expect 1 mv a a/b/inside
t_expect 1 rmdir a
echo two > a/two
mv a/two a/f
t_same "rename over" "$(cat a/f)" two
t_same "the other link lives" "$(cat d/h)" one
ln -s ../a/f d/soft
t_same "symbolic link" "$(readlink d/soft)" ../a/f
t_same "followed" "$(cat d/soft)" two
name=$(printf 'n%.0s' $(seq 255))
: > "$name"
rm "$name"
t_expect 1 touch "${name}x"
t_ok "names"

# unlinked while open
exec 5<> a/f
rm a/f
echo more >&5
t_same "size of the unlinked file" "$(stat -L -c %s /proc/self/fd/5)" 5
exec 5>&-
t_ok "unlinked while open"

# sizes
dd if=/dev/urandom of=data bs=1000 count=1000 status=none
cp data "$T/data"
truncate -s 500001 data; truncate -s 500001 "$T/data"
truncate -s 900000 data; truncate -s 900000 "$T/data"
cmp data "$T/data" || t_fail "truncate shows old bytes"
echo tail >> data; echo tail >> "$T/data"
dd if=/dev/zero of=data bs=7 count=3 seek=12345 conv=notrunc status=none
dd if=/dev/zero of="$T/data" bs=7 count=3 seek=12345 conv=notrunc status=none
fallocate -p -o 8192 -l 20000 data
dd if=/dev/zero of="$T/data" bs=1 seek=8192 count=20000 conv=notrunc status=none
cmp data "$T/data" || t_fail "contents"
fallocate -l 2M pre
t_same "preallocated size" "$(stat -c %s pre)" 2097152
[ "$(stat -c %b pre)" -ge 4096 ] || t_fail "preallocation took no blocks"
t_ok "sizes"

# direct, synchronous
dd if=/dev/urandom of="$T/direct" bs=1M count=8 status=none
dd if="$T/direct" of=direct bs=1M oflag=direct status=none
dd if=direct of="$T/direct.back" bs=64k iflag=direct status=none
cmp "$T/direct" "$T/direct.back" || t_fail "direct I/O"
dd if="$T/direct" of=direct bs=4096 count=3 seek=7 conv=notrunc oflag=direct,dsync status=none
dd if="$T/direct" of="$T/direct" bs=4096 count=3 seek=7 conv=notrunc status=none
cmp "$T/direct" direct || t_fail "direct overwrite"
t_ok "direct and synchronous I/O"

# attributes
touch -d '2001-02-03 04:05:06.000000007 UTC' data
chmod 4751 data
if [ "$(id -u)" -eq 0 ]; then
	chown 123:456 data
	chmod 4751 data
	t_same "owner" "$(stat -c %u:%g data)" 123:456
fi
t_same "mode" "$(stat -c %a data)" 4751
t_same "mtime" "$(stat -c %.9Y data)" 981173106.000000007
if command -v setfattr >/dev/null; then
	setfattr -n user.colour -v blue data
	head -c 4000 /dev/urandom | base64 -w0 > "$T/long"
	setfattr -n user.long -v "$(cat "$T/long")" data
	t_same "xattr" "$(getfattr --only-values -n user.colour data)" blue
	t_same "long xattr" "$(getfattr --only-values -n user.long data)" "$(cat "$T/long")"
	setfattr -x user.colour data
	t_expect 1 getfattr -n user.colour data
fi
t_ok "attributes"

cd /
t_listing "$MNT" > "$T/before"
md5sum "$MNT/data" "$MNT/direct" > "$T/sums"
t_remount
t_listing "$MNT" > "$T/after"
cmp -s "$T/before" "$T/after" || { diff "$T/before" "$T/after"; t_fail "remount changed something"; }
md5sum --quiet -c "$T/sums"
rm -rf "${MNT:?}"/*
t_umount
t_fsck
t_ok "all of it survives a remount"

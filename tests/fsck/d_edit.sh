#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The image editor finds what it is told, changes that and nothing else, and
# makes checksums right or leaves them.
. "${top_srcdir:?}/tests/lib/testlib.sh"

edit()
{
	"$top_builddir/tests/fsck/owfs-edit" "$IMG" "$@"
}

t_image 16M
before=$(cksum < "$IMG")
t_same 'mode of the root' "$(edit 'show inode:/ mode')" "$((040755))"
t_same 'slot' "$(edit 'show super:2 slot')" 2
t_same 'the image' "$(cksum < "$IMG")" "$before"

# right checksums: what is wrong is the field
edit 'set inode:/ nlink 7'
t_same 'links' "$(edit 'show inode:/ nlink')" 7
t_expect_out 'directory 1: link count is not' "$FSCK" -f -n "$IMG"
edit 'set inode:/ nlink 2'
t_expect 0 "$FSCK" -f -n "$IMG"

# left: it is the block
printf 'checksums left\nset inode:/ nlink 7\n' | edit
t_expect_out 'cannot be read, everything below' "$FSCK" -f -n "$IMG"
printf 'checksums left\nset inode:/ nlink 2\n' | edit
t_expect 0 "$FSCK" -f -n "$IMG"

# items
edit 'insert inode #1 0 mode=0x41ed nlink=2 parent=1 gen=1 xattr_next=1'
edit 'insert xattr / hash:user.a namelen=6 valuelen=1 '"'user.ax"
t_same 'length' "$(edit 'show key:xattr:/ len')" 23
t_expect 0 "$FSCK" -f -n "$IMG"
edit 'move xattr:/ / +256'
t_expect_out 'wrong hash' "$FSCK" -f -n "$IMG"
edit 'delete xattr:/'
edit renew
t_expect 0 "$FSCK" -f -n "$IMG"

# what makes no sense is refused, and named
before=$(cksum < "$IMG")
for line in nonsense 'set root' 'set inode:/none mode 1' 'set inode:/ colour 1' \
	'zero leaf:9' 'zero node:0' 'set inode:/ mode x' 'delete root' \
	'show data:/' 'insert nothing / 0'; do
	t_expect 1 edit "$line"
done
t_expect_out 'inode has no field colour' edit 'set inode:/ colour 1'
t_same 'the image' "$(cksum < "$IMG")" "$before"
t_ok "finds, changes, refuses"

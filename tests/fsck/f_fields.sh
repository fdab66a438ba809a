#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Of an inode item that cannot be what was written only the field goes that
# cannot: the flags stay, whatever else is wrong, and so does what was written.
. "${top_srcdir:?}/tests/lib/testlib.sh"

edit()
{
	"$top_builddir/tests/fsck/owfs-edit" "$IMG" "$@"
}

# becomes FLAGS WANTED [DAMAGE]: the flags of the root, repaired
becomes()
{
	t_image 16M
	edit "set inode:/ flags $1"
	edit "${3-show inode:/ flags}" > /dev/null
	t_expect 1 "$FSCK" -f -y "$IMG"
	t_expect 0 "$FSCK" -f -n "$IMG"
	t_same "flags $1 ${3-}" "$(edit 'show inode:/ flags')" $(($2))
}

# immutable, append, nodump, noatime, sync, dirsync
for time in atime mtime ctime btime; do
	becomes 0x7e 0x7e "set inode:/ $time.nsec 1000000000"
done
becomes 0x02 0x02 'set inode:/ zero64 1'
# one that there is none of, and so many that nothing can be believed
becomes 0x10e 0x0e
becomes 0xffffffff 0
# what only files can have
becomes 0x0f 0x0e

# file SIZE [LINE...]: one of two blocks, a hole and three blocks, of which the
# last is not written
file()
{
	t_image 16M
	edit <<END
insert inode #16 0 mode=0x81a4 nlink=1 size=20480 gen=1 xattr_next=1
insert dirent / hash:file ino=16 namelen=4 ftype=8 'file
insert extent #16 0 fsblock=2000 len=2 birth=1
insert extent #16 3 fsblock=2010 len=2 birth=1
insert extent #16 5 fsblock=2020 len=1 flags=1 birth=1
END
	t_expect 1 "$FSCK" -f -y "$IMG"
	t_expect 0 "$FSCK" -f -n "$IMG"
	printf '%s\n' "set inode:file size $1" "${@:2}" | edit
}

# ends_at WANTED: its size, repaired
ends_at()
{
	t_expect 1 "$FSCK" -f -y "$IMG"
	t_expect_out '1 file' "$FSCK" -f -n "$IMG"
	t_expect 0 "$FSCK" -f -n "$IMG"
	t_same 'size' "$(edit 'show inode:file size')" "$1"
}

# no file is so long: it ends where what was written does
file 0xffffffffffffffff
ends_at 20480
# but for one bit that would be within the last block
file 0x8000000000004001
ends_at 16385
file 0x8000000000005000
ends_at 20480
# within the one before, and behind it
file 0x8000000000004000
ends_at 20480
file 0x8000000000005001
ends_at 20480
# what was being cut off does not come back
file 0xffffffffffffffff 'insert intent file 4 end=-1' \
	'insert orphan #2 #file flags=2' 'set inode:file flags 1'
ends_at 16384
# the item goes on behind its end
file 20000 'resize inode:file 200'
ends_at 20000
t_ok "the others stay"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Of an inode item that cannot be what was written only the field goes that
# cannot: the flags stay, whatever else is wrong.
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
t_ok "the others stay"

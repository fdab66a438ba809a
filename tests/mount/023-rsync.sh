#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# rsync with all it can keep, into the filesystem and out of it: afterwards it
# finds nothing left to copy, in either direction, also after a remount.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd rsync setfattr setfacl

src=$T/src
make_source()
{
	local dir

	mkdir "$src"
	for dir in fs mkfs tests; do
		cp -a "${top_srcdir:?}/$dir" "$src/"
	done
	chmod 4711 "$src/fs/README.md"
	chmod 2775 "$src/mkfs"
	chmod 1777 "$src/tests"
	ln "$src/fs/README.md" "$src/hard"
	ln "$src/fs/README.md" "$src/tests/harder"
	ln -s nowhere "$src/dangling"
	mkfifo "$src/fifo"
	mknod "$src/null" c 1 3
	truncate -s 30M "$src/hole"
	echo end >> "$src/hole"
	chown -R 1234:5678 "$src/mkfs"
	chown -h 1234:5678 "$src/dangling"
	touch -h -d '2001-02-03 04:05:06.789012345' "$src/dangling"
	touch -d '1999-12-31 23:59:59.999999999' "$src/tests" "$src/hard"
	printf 'name with\nnewline and \377' > "$src/"$'odd \n\377name'
}

# What the source, a tmpfs, can carry as well as owfs.
make_attributes()
{
	local file=$src/fs/README.md

	setfattr -n user.short -v value "$file"
	setfattr -n user.long -v "$(head -c 3000 /dev/urandom | base64 -w 0)" "$file"
	setfattr -n user.dir -v yes "$src/mkfs"
	setfattr -n trusted.root -v only "$file"
	setfacl -m u:1234:rw,g:5678:r,m::rw "$src/fs/README.md"
	setfacl -m d:u:1234:rwx,d:g::rx "$src/mkfs"
}

# What rsync would still do, from $1 to $2.
left_over()
{
	rsync -"$options"nci --delete --numeric-ids "$1/" "$2/"
}

copy()
{
	rsync -"$options" --numeric-ids "$@"
}

same()
{
	t_same "$1: what is left to copy" "$(left_over "$2" "$3")" ""
	t_same "$1: what is left to copy back" "$(left_over "$3" "$2")" ""
}

options=aHSAX
make_source
t_image 512M
t_mount
make_attributes || t_skip "the source cannot have these attributes"

mkdir "$T/back"
copy "$src/" "$MNT/in"
same "into owfs" "$src" "$MNT/in"
t_remount
same "after a remount" "$src" "$MNT/in"
copy "$MNT/in/" "$T/back"
same "out of owfs" "$src" "$T/back"
copy "$MNT/in/" "$MNT/inside"
same "inside owfs" "$MNT/in" "$MNT/inside"
t_ok "rsync -$options there and back"

# changes: attributes alone, parts of files, removals
echo changed >> "$src/fs/README.md"
setfattr -x user.short "$src/fs/README.md"
setfattr -n user.short -v other "$src/mkfs"
chmod 600 "$src/hard"
printf changed | dd of="$src/hole" bs=1 seek=5000000 conv=notrunc status=none
rm -r "$src/tests/mount" "$src/dangling"
mkdir "$src/tests/mount"
copy --inplace --no-whole-file --delete "$src/" "$MNT/in" 2> "$T/err" ||
	copy --delete --no-whole-file "$src/" "$MNT/in"
same "changed in place" "$src" "$MNT/in"
copy --delete --no-whole-file "$src/" "$MNT/inside"
same "changed by renaming" "$src" "$MNT/inside"
t_remount
same "in place, after a remount" "$src" "$MNT/in"
same "by renaming, after a remount" "$src" "$MNT/inside"
t_ok "rsync of changes"

# tar keeps the same
tar=(tar --format=posix --xattrs --xattrs-include='*' --numeric-owner --sparse
	--acls)
mkdir "$MNT/tar"
"${tar[@]}" -C "$src" -cf "$MNT/src.tar" .
"${tar[@]}" -C "$MNT/tar" -xpf "$MNT/src.tar"
same "by tar" "$src" "$MNT/tar"
"${tar[@]}" -C "$MNT/in" -cf "$T/in.tar" .
rm -r "$T/back"
mkdir "$T/back"
"${tar[@]}" -C "$T/back" -xpf "$T/in.tar"
same "by tar out of owfs" "$src" "$T/back"
t_umount
t_fsck
t_ok "${tar[*]}"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Access times: what reading files, directories and links does to them under the
# options of mount(8), side by side with ext4; and that they are there after an
# unmount.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop

# Did "$@" move the access time of $1?
moves()
{
	local what=$1 path=$2 before

	shift 2
	# times of files are those of a clock that ticks every 10 ms or oftener
	sleep 0.02
	before=$(stat -c %x "$path")
	"$@" > /dev/null 2>&1 || echo "failed: $*"
	if [ "$(stat -c %x "$path")" = "$before" ]; then
		echo "$what: stays"
	else
		echo "$what: moves"
	fi
}

# The kernel's cache answers some reads alone, so these go past it.
direct()
{
	dd if="$1" of=/dev/null bs=4096 count=1 iflag="direct${2-}" status=none
}

probe()
{
	local d=$1

	mkdir "$d/dir"
	touch "$d/dir/a"
	head -c 8192 /dev/zero > "$d/file"
	ln -s file "$d/link"
	moves "first read" "$d/file" direct "$d/file"
	moves "second read" "$d/file" direct "$d/file"
	chmod 600 "$d/file"
	moves "read after chmod" "$d/file" direct "$d/file"
	touch -a -d '3 days ago' "$d/file"
	moves "read with O_NOATIME" "$d/file" direct "$d/file" ,noatime
	touch -a -d '3 days ago' "$d/file"
	moves "read after days" "$d/file" direct "$d/file"
	moves "listing" "$d/dir" ls "$d/dir"
	moves "readlink" "$d/link" readlink "$d/link"
	touch -a -h -d '3 days ago' "$d/link"
	moves "lookup" "$d/dir" stat "$d/dir/a"
	moves "copy_file_range" "$d/file" cp "$d/file" "$d/copy"
	chattr +A "$d/file"
	touch -a -d '3 days ago' "$d/file"
	moves "read with the flag" "$d/file" direct "$d/file"
	chattr -A "$d/file"
	moves "read without it" "$d/file" direct "$d/file"
}

if ! grep -qw ext4 /proc/filesystems || ! command -v mkfs.ext4 > /dev/null; then
	t_skip "needs ext4 to compare with"
fi
truncate -s 64M "$T/ext4"
mkdir "$T/there"
for options in relatime strictatime noatime nodiratime lazytime,relatime; do
	mkfs.ext4 -qF "$T/ext4" 2> /dev/null
	mount -o "loop,$options" "$T/ext4" "$T/there"
	probe "$T/there" > "$T/ext4.txt"
	umount "$T/there"
	t_image 64M
	t_mount -o "$options"
	probe "$MNT" > "$T/owfs.txt"
	diff "$T/ext4.txt" "$T/owfs.txt" || t_fail "$options: not as on ext4 (<)"
	stat -c '%n %x' "$MNT" "$MNT"/* > "$T/before"
	t_umount
	t_fsck
	t_mount -o noatime
	stat -c '%n %x' "$MNT" "$MNT"/* > "$T/after"
	diff "$T/before" "$T/after" || t_fail "$options: times after a remount (>)"
	t_umount
	t_ok "$options: $(grep -c moves "$T/owfs.txt") of $(wc -l < "$T/owfs.txt") move"
done

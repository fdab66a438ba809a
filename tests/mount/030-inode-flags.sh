#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# chattr(1), lsattr(1) and project ids: every operation on files and directories
# with flags answers what it does on ext4, side by side where the kernel has it;
# flags survive a remount; owfs-dump shows them.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd chattr lsattr

program=$top_builddir/tests/mount/inodeflags
t_image 128M
t_mount
chmod 755 "$T"
for part in flags projects; do
	"$program" $part "$MNT" > "$T/owfs.$part" ||
		t_fail "on owfs: $(tail -n 1 "$T/owfs.$part")"
done
for claim in 'immutable d/file: write: Operation not permitted' \
	'append d/file: append: ok' 'append d: unlink: Operation not permitted' \
	'user d/file: immutable of his own: Operation not permitted' \
	'project d: link in: Invalid cross-device link' 'what was stored before: M'
do
	grep -qxF "$claim" "$T"/owfs.* || t_fail "not so: $claim"
done

# the same on ext4; not every kernel has its project ids
beside()
{
	local part=$1

	shift
	if ! grep -qw ext4 /proc/filesystems ||
	   ! command -v mkfs.ext4 > /dev/null; then
		return 0
	fi
	rm -f "$T/ext4"
	truncate -s 64M "$T/ext4"
	mkfs.ext4 -q "$@" "$T/ext4" 2>/dev/null
	mkdir -p "$T/there"
	mount -o loop "$T/ext4" "$T/there" 2>/dev/null || return 0
	"$program" "$part" "$T/there" > "$T/ext4.$part" || t_fail "on ext4"
	umount "$T/there"
	diff "$T/ext4.$part" "$T/owfs.$part" || t_fail "not as on ext4 (<)"
	t_ok "$(wc -l < "$T/owfs.$part") answers about $part as on ext4"
}
beside flags
beside projects -O project,quota

# the programs, on files and directories
mkdir "$MNT/dir" "$MNT/proj"
echo text > "$MNT/file"
chattr +iAd "$MNT/file"
chattr +aSD "$MNT/dir"
chattr +P -p 4294967294 "$MNT/proj"
echo text > "$MNT/proj/child"
t_remount
t_same "lsattr file" "$(lsattr "$MNT/file" | cut -d' ' -f1 | tr -d -)" "idA"
t_same "lsattr dir" "$(lsattr -d "$MNT/dir" | cut -d' ' -f1 | tr -d -)" "SDa"
t_same "project" "$(lsattr -p "$MNT/proj" | awk '{ print $1 }')" 4294967294
t_same "project" "$(lsattr -pd "$MNT/proj" | awk '{ print $1 }')" 4294967294
t_expect 1 rm -f "$MNT/file"
t_expect 1 chattr +c "$MNT/proj/child"
chattr -i "$MNT/file"
rm "$MNT/file"
t_umount
t_fsck
t_expect_out 'flag_names=.?append,sync,dirsync' "$DUMP" "$DEV" tree
t_ok "flags survive and are shown"

# without root the server sees opens, and judges them
t_mount -o plain
echo text > "$MNT/file"
chattr +a "$MNT/file"
t_expect 1 dd of="$MNT/file" if=/dev/null conv=notrunc
echo more >> "$MNT/file"
chattr +i "$MNT/file"
t_expect 1 dd of="$MNT/file" if=/dev/null conv=notrunc oflag=append
t_same "contents" "$(cat "$MNT/file")" "text
more"
t_umount
t_fsck
t_ok "opens of a plain mount"

# where the kernel keeps written pages, they and their times come later
t_image 64M
t_mount -o writeback
echo one > "$MNT/log"
chattr +a "$MNT/log"
echo two >> "$MNT/log"
dd if=/dev/zero of="$MNT/log" bs=1000 count=3 oflag=append conv=notrunc,fsync \
	status=none || t_fail "fsync of an append"
touch "$MNT/log"
printf 'kept back' > "$MNT/frozen"
chattr +i "$MNT/frozen"
sync -f "$MNT" || t_fail "sync"
t_expect 1 dd of="$MNT/log" if=/dev/urandom bs=1 count=1 conv=notrunc,fsync
t_expect 1 dd of="$MNT/frozen" if=/dev/zero bs=1 count=1 conv=notrunc,fsync
when=$(stat -c %y "$MNT/log")
t_remount
t_same "append-only" "$(head -n 2 "$MNT/log" | tr '\n' ' ') $(stat -c %s "$MNT/log")" \
	"one two  3008"
t_same "times of an append" "$(stat -c %y "$MNT/log")" "$when"
t_same "immutable" "$(cat "$MNT/frozen")" 'kept back'
t_umount
t_fsck
t_ok "with pages kept by the kernel"

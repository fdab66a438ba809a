#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ioctls of the whole filesystem: label, trim, shutdown; who may; and what is
# answered to numbers that nobody knows.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root

ioctls=$top_builddir/tests/mount/ioctls
EPERM=1 EIO=5 EINVAL=22 ENOTTY=25

disk_usage()
{
	du -B 1 "$IMG" | cut -f 1
}

t_image 128M -L first
t_mount
chmod 755 "$T"
echo text > "$MNT/file"
for where in "$MNT" "$MNT/file"; do
	t_same "label of $where" "$("$ioctls" label "$where")" first
	t_expect $ENOTTY "$ioctls" number "$where" 8008f001
	t_expect $ENOTTY "$ioctls" number "$where" 801c581e
	t_expect 0 "$ioctls" hostile "$where" 4711
done
t_expect $EPERM "$ioctls" -u setlabel "$MNT" second
t_expect $EPERM "$ioctls" -c setlabel "$MNT" second
t_expect $EINVAL "$ioctls" setlabel "$MNT" "$(printf 'x%.0s' {1..64})"
t_same "label" "$("$ioctls" -u label "$MNT")" first
longest=$(printf 'y%.0s' {1..63})
t_expect 0 "$ioctls" setlabel "$MNT" "$longest"
t_same "label" "$("$ioctls" label "$MNT/file")" "$longest"
t_kill_server
t_mount
t_same "label after a crash" "$("$ioctls" label "$MNT")" "$longest"
t_expect 0 "$ioctls" setlabel "$MNT" second
t_umount
t_fsck
t_same "superblocks with the label" \
	"$("$DUMP" "$DEV" slots | grep -c 'label.*second')" 4
t_ok "label"

# --- trim -------------------------------------------------------------------
t_mount
dd if=/dev/urandom of="$MNT/keep" bs=1M count=30 status=none
dd if=/dev/urandom of="$MNT/gone" bs=1M count=60 status=none
sync
sum=$(sha256sum < "$MNT/keep")
rm "$MNT/gone"
# freed blocks are free after the commit after the next
sync; touch "$MNT/a"; sync; touch "$MNT/b"; sync
before=$(disk_usage)
t_expect $EPERM "$ioctls" -u trim "$MNT" 0 -1 0
t_expect $EPERM "$ioctls" -c trim "$MNT" 0 -1 0
t_expect $EINVAL "$ioctls" trim "$MNT" 0 4095 0
t_expect $EINVAL "$ioctls" trim "$MNT" 134217728 -1 0
t_expect $EINVAL "$ioctls" trim "$MNT" 0 -1 200000000
t_same "unchanged" "$(disk_usage)" "$before"
part=$("$ioctls" trim "$MNT" 1048576 33554432 0)
[ "$part" -le 33554432 ] || t_fail "trimmed more than asked for: $part"
all=$("$ioctls" trim "$MNT" 0 -1 0)
free=$(stat -f -c '%f * %S' "$MNT")
[ "$all" -ge $((free)) ] || t_fail "trimmed $all of $((free)) bytes"
[ "$all" -le $((free + 8 * 1048576)) ] || t_fail "trimmed $all of $((free)) bytes"
after=$(disk_usage)
[ "$after" -lt $((before - 50 * 1048576)) ] ||
	t_fail "image takes $after bytes, $before before"
# under writes
for i in 1 2 3 4 5 6; do
	dd if=/dev/urandom of="$MNT/w$i" bs=64k count=80 status=none &
	"$ioctls" trim "$MNT" 0 -1 0 > /dev/null
	wait $!
	sha256sum "$MNT/w$i" >> "$T/sums"
done
fstrim "$MNT"
t_remount
t_same "what was kept" "$(sha256sum < "$MNT/keep")" "$sum"
sha256sum --quiet -c "$T/sums" || t_fail "bytes are lost"
t_umount
t_fsck
t_mount -r
t_expect 30 "$ioctls" trim "$MNT" 0 -1 0
t_expect 30 "$ioctls" setlabel "$MNT" third
t_umount
t_ok "trim"

# --- shutdown ---------------------------------------------------------------
t_mount
echo flushed > "$MNT/flushed"
t_expect $EPERM "$ioctls" -u shutdown "$MNT"
t_expect $EPERM "$ioctls" -c shutdown "$MNT"
t_expect $EINVAL "$ioctls" shutdown "$MNT" 3
t_expect 0 "$ioctls" shutdown "$MNT"
t_expect 1 touch "$MNT/new"
t_expect 2 ls "$MNT"
t_expect $EIO "$ioctls" label "$MNT/flushed"
t_umount
t_fsck
t_mount -o commit=3600
t_same "what was flushed" "$(cat "$MNT/flushed")" flushed
echo lost > "$MNT/lost"
t_expect 0 "$ioctls" shutdown "$MNT" 2
t_umount
t_fsck
t_mount
[ ! -e "$MNT/lost" ] || t_fail "flushed against the word"
t_same "what was there before" "$(cat "$MNT/flushed")" flushed
t_umount
t_ok "shutdown"

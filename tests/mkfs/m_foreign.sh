#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What others wrote is named and kept; with -f libblkid finds none of it.
. "${top_srcdir:?}/tests/lib/testlib.sh"
. "$top_srcdir/tests/mkfs/mkfslib.sh"
t_require_cmd wipefs blkid

img=$T/img

# $1: what to find; the image holds it
check()
{
	[ -n "$(m_signatures "$img")" ] || t_fail "$1: the test made nothing"
	m_refuses_untouched "$img" "contains .*$1.*; use -f" "$img"
	m_refuses_untouched "$img" "contains .*$1.*; use -f" "$img" 400M
	t_expect_out "overwriting .*$1" "$MKFS" -f "$img"
	t_same "signatures after $1" "$(m_signatures "$img")" ''
	t_same "blkid after $1" "$(blkid -p -o export "$img" || true)" ''
	"$FSCK" -f "$img" > "$T/out" || t_fail "fsck after $1: $(cat "$T/out")"
	t_ok "$1 is named, kept, and wiped with -f"
}

fresh()
{
	rm -f "$img"
	truncate -s 320M "$img"
}

fresh; m_dos_table "$img"; check 'a dos partition table'

if command -v mkfs.ext4 > /dev/null; then
	fresh; mkfs.ext4 -q -L 'my home' "$img"
	check 'an ext4 filesystem labelled "my home"'
fi
if command -v mkfs.xfs > /dev/null; then
	fresh; mkfs.xfs -q "$img"; check 'an xfs filesystem'
fi
if command -v mkfs.btrfs > /dev/null; then
	fresh; mkfs.btrfs -q "$img" > /dev/null 2>&1; check 'a btrfs filesystem'
fi
if command -v mkswap > /dev/null; then
	fresh; mkswap "$img" > /dev/null 2>&1; check 'a swap signature'
fi

# an LVM label with a wrong checksum: nobody's volume, but wiped
fresh
printf 'LABELONE\1\0\0\0\0\0\0\0' | dd of="$img" bs=1 seek=512 conv=notrunc status=none
printf '\0\0\0\0\040\0\0\0LVM2 001' | dd of="$img" bs=1 seek=528 conv=notrunc status=none
"$MKFS" -q -f "$img"
t_same "signatures after an LVM label" "$(m_signatures "$img")" ''

# signatures past the first sectors
fresh
printf '\001CD001\001\0' | dd of="$img" bs=1 seek=32768 conv=notrunc status=none
check 'an iso9660 filesystem'

# two at once, one of them at the end of the device (a RAID's superblock)
fresh
m_dos_table "$img"
printf '\374\116\053\251\0\0\0\0\132\0\0\0' |
	dd of="$img" bs=1 seek=$(((320 << 20) - 65536)) conv=notrunc status=none
check 'linux_raid_member'

# what counts on a whole disk only, which mkfs.owfs learns before its sandbox
if [ "$(id -u)" -eq 0 ] && losetup -f > /dev/null 2>&1; then
	fresh
	printf 'Intel Raid ISM Cfg Sig. 1.0.00' |
		dd of="$img" bs=1 seek=$(((320 << 20) - 1024)) conv=notrunc status=none
	loop=$(losetup --show -f "$img")
	m_refuses_untouched "$img" 'contains an isw_raid_member' "$loop"
	losetup -d "$loop"
fi

# our own
fresh; "$MKFS" -q "$img"
m_refuses_untouched "$img" 'contains an owfs filesystem; use -f' "$img"
"$MKFS" -q -f "$img"

# without -f the boot area is left alone, with it not
fresh
echo boot code | dd of="$img" bs=1 seek=20000 conv=notrunc status=none
"$MKFS" -q "$img"
t_same 'boot area' "$(dd if="$img" bs=1 skip=20000 count=9 status=none)" 'boot code'
"$MKFS" -q -f "$img"
t_same 'boot area' "$(head -c 65536 "$img" | tr -d '\0')" ''
t_ok "all of them"

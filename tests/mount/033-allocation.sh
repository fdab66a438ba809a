#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Allocating, zeroing and punching: sizes, blocks, data and holes, and every
# byte, after each step of many short histories, as on ext4; the numbers of
# statfs(2); the longest names and the largest offsets.
#
#	SEED=N		of the histories
#	FILES=N		how many
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
if ! grep -qw ext4 /proc/filesystems || ! command -v mkfs.ext4 > /dev/null; then
	t_skip "needs ext4 to compare with"
fi

program=$top_builddir/tests/mount/allocation
seed=${SEED-$((RANDOM * 32768 + RANDOM))} files=${FILES-300}
truncate -s 64M "$T/ext4"
mkfs.ext4 -qF -b 4096 "$T/ext4" 2> /dev/null
mkdir "$T/there"
mount -o loop "$T/ext4" "$T/there"
"$program" "$T/there" "$seed" "$files" > "$T/ext4.txt"
umount "$T/there"

# Where a file had more than four extents, ext4 counts a block for them.
compare()
{
	awk '
	FNR == NR { want[FNR] = $0; next }
	{
		split(want[FNR], w)
		line = want[FNR]
		if ($1 == "size" && w[4] == $4 + 8)
			sub(" blocks " w[4] " ", " blocks " $4 " ", line)
		if (line != $0) {
			print FNR ": ext4: " want[FNR]
			print FNR ": owfs: " $0
			bad++
		}
	}
	END { exit bad > 0 || FNR == 0 }' "$@"
}

t_image 64M
t_mount
"$program" "$MNT" "$seed" "$files" > "$T/owfs.txt"
compare "$T/ext4.txt" "$T/owfs.txt" | head -n 20 || t_fail "seed $seed: not as on ext4"
t_umount
t_fsck
t_ok "$(grep -c ': ok$' "$T/owfs.txt") steps and $(grep -vc -e ': ok$' -e '^ ' "$T/owfs.txt") refusals, seed $seed"

# --- numbers, names, offsets ------------------------------------------------
t_mount
number()
{
	stat -f -c "$1" "$MNT"
}
t_same "longest name" "$(number %l)" 255
[ "$(number %c)" -ge "$(number %d)" ] || t_fail "more free inodes than inodes"
[ "$(number %d)" -gt 10000 ] || t_fail "free inodes: $(number %d)"
before=$(number %d)
head -c 20M /dev/zero > "$MNT/large"
sync
[ "$(number %d)" -lt "$before" ] || t_fail "a fuller filesystem takes as many inodes"
rm "$MNT/large"

name=$(printf 'n%.0s' {1..255})
touch "$MNT/$name"
t_expect 1 touch "$MNT/${name}n"
odd=$'\001\n\177\200\377*?\\ "'
echo odd > "$MNT/$odd"
rm "$MNT/$name"
t_remount
t_same "a file with an odd name" "$(cat "$MNT/$odd")" odd
t_same "names" "$(find "$MNT" -mindepth 1 | wc -l)" 2	# one has a line's end

last=9223372036854775806
truncate -s 9223372036854775807 "$MNT/huge"
printf x | dd of="$MNT/huge" bs=1 seek=$last conv=notrunc status=none
t_same "the last byte there can be" \
	"$(dd if="$MNT/huge" bs=1 skip=$last count=1 status=none)" x
t_expect 1 dd if=/dev/zero of="$MNT/huge" bs=2 count=1 oflag=append conv=notrunc
t_same "its size" "$(stat -c %s "$MNT/huge")" 9223372036854775807
t_umount
t_fsck
t_ok "numbers, names and offsets"

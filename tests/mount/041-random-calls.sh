#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Long scripts of system calls that a seed makes up have the same results and
# leave the same tree as on the kernel's ext4, also after a remount.
#
#	SEED=N SEEDS=N STEPS=N	the first, how many, how long
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd mkfs.ext4
grep -qw ext4 /proc/filesystems || modprobe ext4 2>/dev/null || t_skip "needs ext4"

cases=$top_builddir/tests/mount/cases
first=${SEED-$((RANDOM * 32768 + RANDOM))}
seeds=${SEEDS-6} steps=${STEPS-1500}
chmod 755 "$T"	# the program drops its rights and must still reach the mounts

tree()
{
	(cd "$1" && find . -printf '%p %y %m %U:%G %n %s %b %T@ %C@ %l\n' |
		LC_ALL=C sort)
}

mkdir "$T/ext4"
truncate -s 400M "$T/img.ext4"
mkfs.ext4 -q -F -b 4096 "$T/img.ext4"
mount -o loop,user_xattr "$T/img.ext4" "$T/ext4"
t_image 256M
t_mount
for seed in $(seq "$first" $((first + seeds - 1))); do
	in=$seed/in/in/in	# deep enough for every ".."
	mkdir -p "$T/ext4/$in" "$MNT/$in"
	"$cases" -r "$seed" -n "$steps" "$T/ext4/$in" > "$T/1"
	"$cases" -r "$seed" -n "$steps" "$MNT/$in" > "$T/2"
	diff "$T/1" "$T/2" | head -n 20 || t_fail "seed $seed: < ext4, > owfs"
	rm -rf "$T/ext4/$seed"
	[ $((seed % 2)) -eq 0 ] || rm -rf "${MNT:?}/$seed"
done
umount "$T/ext4"
tree "$MNT" > "$T/before"
t_remount
tree "$MNT" > "$T/after"
diff "$T/before" "$T/after" | head || t_fail "a remount shows another tree"
t_umount
t_fsck
t_ok "$seeds seeds from $first, $steps steps each"
echo "ok: seeds=$seeds"

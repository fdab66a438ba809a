#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs change trees at random, each against a model in memory, while the
# server is killed and the filesystem is mounted again (trees.c): after a crash
# each tree is what it was after some operation, none older than the last that
# was promised durable.
#
#	TREES_ROUNDS=N	so many kills and remounts of each kind of mount
#	TREES_SEED=N	begin with this seed
#	LONG_DONE=N	rounds that were done before: another seed
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

rounds=${TREES_ROUNDS-6}
seed=${TREES_SEED-${LONG_DONE-$((RANDOM * 32768 + RANDOM))}}

# trees PROFILE MOUNT-OPTIONS MKFS-OPTION...
trees()
{
	local profile=$1

	mount_options=$2
	shift 2
	echo "seed=$seed profile=$profile mount=$mount_options mkfs=$*"
	t_image 256M "$@"
	t_mount -o "$mount_options"
	mkdir "$MNT/d"
	sync "$MNT/d"
	t_served "$top_builddir/tests/mount/trees" -o 8,9 -p "$profile" -j 3 \
		-s "$seed" -n "$rounds" "$MNT/d" ||
		{ tail -n 60 "$T/served"; t_fail "seed $seed, $profile"; }
	t_remount -o "$mount_options"
	rm -r "$MNT/d"
	t_umount
	t_fsck
	t_ok "$(tail -n 1 "$T/served")"
	seed=$((seed + 1))
}

trees mixed commit=1
trees names commit=1 -m dup
trees data commit=1 -b 16384

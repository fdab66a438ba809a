#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random operations on a file against an array of bytes, with remounts and
# crashes of the server between them (fsx.c); in several kinds of filesystem
# and mount, which FSX_SEED, the first seed, repeats.
#
#	FSX_OPS=N	so many operations in each
#	FSX_EVERY=N	one of so many is a crash or a remount
#	LONG_DONE=N	operations done before: another first seed
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

seed=${FSX_SEED-${LONG_DONE-$((RANDOM * 32768 + RANDOM))}}

# fsx MOUNT-OPTIONS MKFS-OPTION...
fsx()
{
	local kept_back=

	mount_options=$1
	shift
	case $mount_options in
	*writeback*)	kept_back=-w ;;
	esac
	echo "seed=$seed mount=$mount_options mkfs=$*"
	t_image 64M "$@"
	t_mount -o "$mount_options"
	mkdir "$MNT/d"
	t_served "$top_builddir/tests/mount/fsx" -o 8,9 $kept_back \
		-c "${FSX_EVERY-1000}" -s "$seed" -n "${FSX_OPS-12000}" "$MNT/d" ||
		{ tail -n 40 "$T/served"; t_fail "seed $seed"; }
	t_umount
	t_fsck
	t_ok "$(tail -n 1 "$T/served")"
	seed=$((seed + 1000000))
}

fsx commit=1
fsx commit=1 -m dup -b 16384
fsx commit=1,plain
fsx commit=1,writeback

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Processes make, link, move, exchange and remove names in the same directories,
# each against a model of its own (namestorm.c); a remount and the checker find
# the same tree.
#
#	SEED=N OPS=N PROCESSES=N
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

seed=${SEED-$((RANDOM * 32768 + RANDOM))}
ops=${OPS-4000} processes=${PROCESSES-4}

tree()
{
	(cd "$MNT/storm" && find . -printf '%p %y %n %i\n' | LC_ALL=C sort)
}

for options in commit=1 plain; do
	t_image 128M
	t_mount -o "$options"
	mkdir "$MNT/storm"
	"$top_builddir/tests/mount/namestorm" "$seed" "$ops" "$processes" \
		"$MNT/storm" || t_fail "seed $seed"
	tree > "$T/before"
	t_remount
	tree > "$T/after"
	diff "$T/before" "$T/after" | head || t_fail "seed $seed: a remount shows another tree"
	t_umount
	t_fsck
done
t_ok "seed $seed"
echo "ok: steps=$((2 * ops * processes))"

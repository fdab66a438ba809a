#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What programs in C see: memory maps, appends, nameless files, renames with
# flags, far offsets, holes, direct I/O, times, directories; and what must
# survive a remount.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

syscalls=$top_builddir/tests/mount/syscalls
# with pages kept back the kernel knows of no holes
case ,${T_MOUNT_OPTIONS-}, in
*,writeback,*)	holes=dense ;;
*)		holes= ;;
esac
for mode in single dup; do
	t_image 256M -m $mode
	t_mount
	mkdir "$MNT/here"
	"$syscalls" first "$MNT/here" || t_fail "$mode: first part"
	t_remount
	"$syscalls" second "$MNT/here" $holes || t_fail "$mode: after a remount"
	rm -r "$MNT/here"
	t_umount
	t_fsck
done
# the same where the kernel sends no syncfs and no destroy
t_image 256M
t_mount -o plain
mkdir "$MNT/here"
"$syscalls" first "$MNT/here" || t_fail "plain fuse: first part"
t_remount
"$syscalls" second "$MNT/here" $holes || t_fail "plain fuse: after a remount"
t_umount
t_fsck
t_ok "two ways to write metadata"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A project with some hundred files is unpacked, configured and built, and what
# was built works: owfs itself.  After a remount make finds nothing to do.
#
#	BUILD_DIRS=...	build only these
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_cmd make "${CC:-cc}"
[ -x "$top_srcdir/configure" ] || t_skip "needs a configured source tree"

# A copy that nobody edits.
tar -C "$top_srcdir" -cf "$T/src.tar" configure configure.ac aclocal.m4 \
	Makefile.am Makefile.in m4 build-aux bench doc dump fs fsck man mkfs tests
mkdir "$T/src"
tar -C "$T/src" -xf "$T/src.tar"

t_image 512M
t_mount
mkdir "$MNT/src" "$MNT/build"
tar -C "$MNT/src" -xf "$T/src.tar"
(cd "$MNT/build" && ../src/configure -q CFLAGS=-O0) > "$T/log" 2>&1 ||
	{ tail -n 20 "$T/log"; t_fail "configure"; }
read -ra dirs <<< "${BUILD_DIRS-fs mkfs fsck}"
for dir in "${dirs[@]}"; do
	make -C "$MNT/build/$dir" -j2 > "$T/log" 2>&1 ||
		{ tail -n 20 "$T/log"; t_fail "make in $dir"; }
done
t_ok "built: ${dirs[*]}"

t_remount
diff -r "$T/src" "$MNT/src"
for dir in "${dirs[@]}"; do
	make -q -C "$MNT/build/$dir" > /dev/null 2>&1 ||
		t_fail "after a remount make would build again in $dir"
done
"$MNT/build/mkfs/mkfs.owfs" -q "$MNT/build/image" 32M
"$MNT/build/fsck/fsck.owfs" -f -n "$MNT/build/image" > "$T/log" 2>&1 ||
	{ cat "$T/log"; t_fail "fsck.owfs built on owfs"; }
t_ok "what was built works after a remount"

rm -r "$MNT/build" "$MNT/src"
t_same "all gone" "$(ls -A "$MNT")" ""
t_umount
t_fsck

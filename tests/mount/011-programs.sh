#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs people use: git, a compiler, tar.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

t_image 512M
t_mount
# a copy: nobody may edit it meanwhile
for dir in fs mkfs fsck tests; do
	cp -a "${top_srcdir:?}/$dir" "$T/"
done

tried=
if command -v git >/dev/null; then
	cd "$MNT"
	git init -q -b main repo
	cd repo
	git config user.name test
	git config user.email test@example.org
	git config gc.auto 0
	for dir in fs mkfs fsck; do
		cp -a "$T/$dir" .
		git add $dir
		git commit -q -m "$dir"
	done
	git mv mkfs make
	git commit -q -m "moved"
	git clone -q --no-hardlinks "$MNT/repo" "$MNT/clone"
	git gc -q
	cd /
	t_remount
	for repo in repo clone; do
		git -C "$MNT/$repo" fsck --full --strict > "$T/out" 2>&1 ||
			{ cat "$T/out"; t_fail "git fsck of $repo"; }
		t_same "git status of $repo" "$(git -C "$MNT/$repo" status --porcelain)" ""
	done
	diff -r "$T/fs" "$MNT/clone/fs"
	t_ok "git: commits, a clone, a collection"
	tried+=" git"
fi

if command -v "${CC:-cc}" >/dev/null; then
	mkdir "$MNT/build"
	cat > "$MNT/build/sum.c" <<-EOF
	int sum(int a, int b) { return a + b; }
	EOF
	cat > "$MNT/build/main.c" <<-EOF
	#include <stdio.h>
	int sum(int a, int b);
	int main(void) { printf("%d\n", sum(40, 2)); return 0; }
	EOF
	printf '%s: %s\n' answer "main.o libsum.a" libsum.a sum.o > "$MNT/build/Makefile"
	printf '\tar rc $@ $<\n' >> "$MNT/build/Makefile"
	(cd "$MNT/build" && "${CC:-cc}" -g -c sum.c main.c && ar rc libsum.a sum.o &&
		"${CC:-cc}" -o answer main.o libsum.a)
	t_same "a program made here" "$("$MNT/build/answer")" 42
	if command -v make >/dev/null; then
		(cd "$MNT/build" && make -s CC="${CC:-cc}" LDLIBS=libsum.a answer)
		touch "$MNT/build/sum.c"
		(cd "$MNT/build" && make -s -q answer) && t_fail "make does not see the newer file"
	fi
	t_remount
	t_same "a program after a remount" "$("$MNT/build/answer")" 42
	t_ok "compiler and linker"
	tried+=" cc"
fi

src=$T/src
mkdir "$src"
mv "$T/fs" "$T/tests" "$src/"
chmod 4711 "$src/fs/README.md"
ln "$src/fs/README.md" "$src/hard"
ln -s nowhere "$src/dangling"
mkfifo "$src/fifo"
truncate -s 100M "$src/hole"
t_listing "$src" > "$T/want"
mkdir "$MNT/tar"
tar -C "$src" --format=posix --sparse -cf - . | tar -C "$MNT/tar" --numeric-owner -xpf -
t_remount
t_listing "$MNT/tar" | diff "$T/want" - || t_fail "tar: metadata differs"
tar -C "$MNT/tar" --format=posix --sparse -cf "$MNT/all.tar" .
tar -C "$src" -df "$MNT/all.tar" || t_fail "tar: contents differ"
t_ok "tar in and out"
tried+=" tar"

t_umount
t_fsck
t_ok "programs:$tried"

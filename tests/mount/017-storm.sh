#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Several programs change the tree at once: copies, removals, renames between
# directories, appends, truncations, syncs.  What must be there is there and
# the check finds nothing.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

rounds=${ROUNDS-1}
src=$T/fs
cp -a "${top_srcdir:?}/fs" "$src"	# nobody may edit it meanwhile
t_image 256M

copies()
{
	local i

	for i in 1 2 3 4; do
		cp -a "$src" "$MNT/$1-$i"
		diff -r "$src" "$MNT/$1-$i" || return 1
		mv "$MNT/$1-$i" "$MNT/pool/$1-$i"
		[ $((i % 2)) -eq 0 ] || rm -r "$MNT/pool/$1-$i"
	done
}

moves()
{
	local i

	mkdir "$MNT/$1"
	for i in $(seq 300); do
		echo "$i" > "$MNT/$1/$i"
		mv "$MNT/$1/$i" "$MNT/pool/$1-$i"
		ln "$MNT/pool/$1-$i" "$MNT/$1/last-$((i % 10))" 2>/dev/null ||
			ln -f "$MNT/pool/$1-$i" "$MNT/$1/last-$((i % 10))"
	done
}

sizes()
{
	local i

	for i in $(seq 60); do
		seq $((i * 1000)) > "$MNT/pool/$1"
		truncate -s $((i * 777)) "$MNT/pool/$1"
		fallocate -p -o 4096 -l 8192 "$MNT/pool/$1"
		seq 100 >> "$MNT/pool/$1"
		[ $((i % 10)) -ne 0 ] || sync "$MNT/pool/$1"
	done
}

syncs()
{
	local i

	for i in $(seq 20); do
		sync -f "$MNT"
		find "$MNT/pool" -type f -newer "$IMG" > /dev/null 2>&1 || true
		df "$MNT" > /dev/null
	done
}

check()
{
	local w i

	for w in c1 c2; do
		for i in 2 4; do
			diff -r "$src" "$MNT/pool/$w-$i" || t_fail "$w-$i differs"
		done
	done
	for w in m1 m2; do
		for i in 1 150 300; do
			t_same "$w-$i" "$(cat "$MNT/pool/$w-$i")" $i
		done
		t_same "links of $w" "$(stat -c %h "$MNT/pool/$w-295")" 2
		t_same "links of $w" "$(stat -c %h "$MNT/pool/$w-5")" 1
		t_same "files of $w" "$(find "$MNT/pool" -name "$w-*" | wc -l)" 300
	done
	for w in s1 s2; do
		t_same "tail of $w" "$(tail -c 292 "$MNT/pool/$w" | cksum)" "$(seq 100 | cksum)"
	done
}

for round in $(seq "$rounds"); do
	t_mount -o commit=1
	mkdir "$MNT/pool"
	pids=()
	for job in "copies c1" "copies c2" "moves m1" "moves m2" "sizes s1" "sizes s2" "syncs y1"; do
		$job > "$T/out-${job#* }" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || { head -n 5 "$T"/out-*; t_fail "round $round: a program failed"; }
	done
	check
	t_remount
	check
	rm -rf "$MNT/pool" &
	rm -rf "$MNT"/m1 "$MNT"/m2
	wait
	t_same "all gone" "$(ls -A "$MNT")" ""
	t_umount
	t_fsck
done
t_ok "$rounds rounds"

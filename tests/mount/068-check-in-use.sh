#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A mounted filesystem checked while others write to it: nothing is found, round
# after round; a check that is killed is forgotten; a full device gives the check
# up and loses nothing by it; scrubbing mends copies that went bad.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root

populate=$top_builddir/bench/populate
ENOSPC_ROUNDS=200
stop=$T/stop

# Changes of all kinds, until $stop is there.
storm()
{
	local n=0 d=$MNT/storm$1

	mkdir "$d"
	while [ ! -e "$stop" ]; do
		n=$((n + 1))
		mkdir "$d/$n"
		echo $n | tee "$d/$n"/{a,b,c,d,e,f} > /dev/null
		mv "$d/$n/a" "$d/$n/a name that is somewhat longer"
		ln "$d/$n/b" "$d/$n/b2"
		rm "$d/$n/c"
		dd if=/dev/zero of="$d/$n/d" bs=64k count=3 conv=fsync status=none
		[ $n -le 5 ] || rm -r "$d/$((n - 5))"
	done
}

# Either the progress pipe is full, and the check waits with its commit kept, or
# it is emptied and goes on.
fill_pipe()
{
	dd if=/dev/zero bs=4096 count=16 status=none >&3
}

t_image 256M
if [ -x "$populate" ]; then
	"$populate" "$IMG" 3000 5000
fi
t_mount

# --- who may, and where -----------------------------------------------------
t_expect 8 "$FSCK" "$MNT"
t_expect 8 "$FSCK" -y "$MNT"
t_expect 16 "$FSCK" --scrub "$IMG"
t_expect 16 "$FSCK" --scrub -n "$MNT"
t_expect 8 "$FSCK" -n /proc
t_expect 0 "$FSCK" -n "$MNT"
t_expect 0 "$FSCK" -n "$MNT/."
chmod 755 "$T"
t_expect 1 "$top_builddir/tests/mount/ioctls" -u number "$MNT" 82184f02
t_expect 1 "$top_builddir/tests/mount/ioctls" -c number "$MNT" 82184f02
t_ok "who may, and where"

# --- under load -------------------------------------------------------------
storm 1 & one=$!
storm 2 & two=$!
for round in {1..8}; do
	"$FSCK" -n -v "$MNT" > "$T/out" 2>&1 ||
		t_fail "round $round: $(cat "$T/out")"
done
for round in {1..6}; do
	"$FSCK" -n "$MNT" > /dev/null 2>&1 & check=$!
	kill -9 $check
	wait $check || true
done
# the one that was killed last is forgotten in moments
for round in {1..200}; do
	"$FSCK" -n "$MNT" > "$T/out" 2>&1 && break
	grep -q 'by somebody else' "$T/out" || t_fail "$(cat "$T/out")"
	[ "$round" -lt 200 ] || t_fail "a check that was killed is not forgotten"
	read -r -t 0.1 <> <(:) || true
done
touch "$stop"
wait $one $two
rm "$stop"
t_ok "$(head -n 1 "$T/out")"

# --- no space ---------------------------------------------------------------
mkfifo "$T/pipe"
exec 3<> "$T/pipe"
fill_pipe
"$FSCK" -n -C 3 "$MNT" > "$T/out" 2>&1 & check=$!
for round in {1..600}; do
	grep -q pipe_write "/proc/$check/wchan" 2>/dev/null && break
	grep -q anon_pipe_write "/proc/$check/wchan" 2>/dev/null && break
	read -r -t 0.05 <> <(:) || true
done
mkdir "$MNT/full"
for ((i = 0; i < ENOSPC_ROUNDS; i++)); do
	echo $i > "$MNT/full/$i"
	sync -f "$MNT" 2>/dev/null
done
free=$(stat -f -c %a "$MNT")
dd if=/dev/zero of="$MNT/full/big" bs=1M status=none 2> "$T/dd" && t_fail "not full"
grep -q 'No space' "$T/dd" || t_fail "$(cat "$T/dd")"
got=$(($(stat -c %b "$MNT/full/big") / 8))
[ $got -ge $((free - 300)) ] || t_fail "$got of $free blocks could be had"
for ((i = 0; i < 40; i++)); do
	echo more > "$MNT/full/m$i" 2>/dev/null || true
done
cat <&3 > /dev/null & drain=$!
status=0
wait $check || status=$?
kill $drain
exec 3>&-
case $status in
8) grep -q 'given up; nothing is known' "$T/out" || t_fail "$(cat "$T/out")" ;;
0) ;;	# it had ended before
*) t_fail "check on a full device: $status: $(cat "$T/out")" ;;
esac
rm -r "$MNT/full"
t_expect 0 "$FSCK" -n "$MNT"
t_ok "no space: exit status $status"
t_umount
t_fsck

# --- scrubbing --------------------------------------------------------------
nodes()
{
	"$DUMP" "$IMG" tree | awk '$1 == "node:" { n = $2 } $1 == "copy:" { print n, $2 }'
}

damage()
{
	dd if=/dev/urandom of="$IMG" bs=4096 seek="$1" count=1 conv=notrunc status=none
}

t_same "copies" "$("$DUMP" "$IMG" superblock | sed -n 's/^  meta_copies: //p')" 2
# the last two commits are those after the mending
commit_twice()
{
	mkdir "$MNT/t"
	sync -f "$MNT"
	rmdir "$MNT/t"
	sync -f "$MNT"
}

nodes > "$T/nodes"
[ "$(wc -l < "$T/nodes")" -gt 20 ] || t_fail "too few nodes: $(wc -l < "$T/nodes")"
t_mount
ls -lR "$MNT" > "$T/listing"
n=0
while read -r first second; do
	n=$((n + 1))
	case $((n % 10)) in
	1) damage "$first" ;;
	2) damage "$second" ;;
	esac
done < "$T/nodes"
bad=$(((n + 9) / 10 + (n + 8) / 10))
t_expect 4 "$FSCK" -n "$MNT"
"$FSCK" --scrub "$MNT" > "$T/out" 2>&1 && t_fail "scrub found nothing"
grep -q "$bad problems corrected" "$T/out" || t_fail "$bad bad: $(cat "$T/out")"
t_expect 0 "$FSCK" -n "$MNT"
t_expect 0 "$FSCK" --scrub "$MNT"
ls -lR "$MNT" | cmp - "$T/listing"
commit_twice
t_kill_server
t_fsck
t_mount
ls -lR "$MNT" | cmp - "$T/listing"
t_umount

# mended by those who only read
nodes > "$T/nodes"
while read -r first second; do
	damage "$first"
done < "$T/nodes"
t_mount -r
ls -lR "$MNT" | cmp - "$T/listing"
t_expect 4 "$FSCK" --scrub "$MNT"
t_umount
t_mount
ls -lR "$MNT" | cmp - "$T/listing"
t_umount
# what nobody reads
nodes > "$T/nodes"
while read -r first second; do
	damage "$second"
done < "$T/nodes"
t_mount
ls -lR "$MNT" | cmp - "$T/listing"
t_expect 1 "$FSCK" --scrub "$MNT"
t_expect 0 "$FSCK" -n "$MNT"
commit_twice
t_umount
t_fsck
t_ok "scrub mended $bad of $n nodes, then all of them"

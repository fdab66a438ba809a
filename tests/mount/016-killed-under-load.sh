#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 of the worker, of the parent, of both, at any moment while programs
# write, read and list: whoever was served gets an error at once and nobody
# hangs, the next mount works at once, every record that was synced is there and
# whole (records.c), and the check finds nothing.
#
#	ROUNDS=N	so many kills
#	LIMIT=N		milliseconds until everybody has ended, and for a mount
#	LONG_DONE=N	kills that were made before
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

rounds=${ROUNDS-6}
first=$((${LONG_DONE-0} + 1))
limit=${LIMIT-1500}	# one second, and what a slow machine needs to look
t_image 256M
D=$MNT/d		# not there when nothing is mounted
src=$T/fs
cp -a "${top_srcdir:?}/fs" "$src"	# nobody may edit it meanwhile
loads=()
slowest=0
slowest_mount=0
records=0

records()
{
	exec "$top_builddir/tests/mount/records" write "$D" "$T/log-$1"
}

# Writes whole files, synced and renamed over the one before.
replaces()
{
	local i=0

	while [ -e "$T/go" ]; do
		i=$((i + 1))
		seq $i $((i + 9999)) > "$D/new-$1" || exit 0
		sync "$D/new-$1" || exit 0
		mv "$D/new-$1" "$D/whole-$1" || exit 0
	done
}

copies()
{
	while [ -e "$T/go" ]; do
		cp -a "$src" "$D/copy-$1" || exit 0
		find "$D/copy-$1" -type f -exec cat {} + > /dev/null || exit 0
		rm -r "$D/copy-$1" || exit 0
	done
}

streams()
{
	while [ -e "$T/go" ]; do
		dd if=/dev/zero of="$D/stream-$1" bs=1M count=32 status=none ||
			exit 0
	done
}

start_load()
{
	local kind

	mkdir "$D"
	: > "$T/go"
	loads=()
	for kind in records replaces copies streams; do
		$kind "$1" 2> /dev/null &
		loads+=($!)
	done
	sleep "0.$((4 + RANDOM % 6))"
}

load_has_ended()
{
	local pid

	for pid in "${loads[@]}"; do
		! kill -0 "$pid" 2>/dev/null || return 1
	done
}

# How many records were noted.
noted()
{
	[ -s "$T/log-$1" ] || { echo 0; return; }
	od -An -td8 "$T/log-$1" | tr -d ' '
}

check_records()
{
	local n

	n=$("$top_builddir/tests/mount/records" check "$D" "$T/log-$1") ||
		t_fail "$1: a record is not there"
	records=$((records + n))
	rm "$T/log-$1"
}

check_whole()
{
	local first

	[ -e "$D/whole-$1" ] || return 0
	first=$(head -n 1 "$D/whole-$1")
	seq "$first" $((first + 9999)) | cmp -s - "$D/whole-$1" ||
		t_fail "$1: the renamed file is not whole"
}

one_round()
{
	local name=$1 victims start took

	t_mount
	case $name in
	worker-*)	victims=$(t_worker) ;;
	both-*)		victims=$(t_servers) ;;
	esac
	start_load "$name"
	start=$(t_now)
	kill -KILL $victims
	t_wait_until load_has_ended || t_fail "$name: a program hangs: $(ps -o pid,stat,wchan,args "${loads[@]}")"
	t_wait_until t_no_server || t_fail "$name: a server stays"
	took=$(($(t_now) - start))
	[ $took -le "$slowest" ] || slowest=$took
	[ $took -le "$limit" ] || t_fail "$name: $took ms until all had ended"
	wait
	if t_is_mounted "$MNT"; then
		case $name in
		both-*)	umount "$MNT" ;;
		*)	t_fail "$name: the dead mount stays" ;;
		esac
	fi
	start=$(t_now)
	t_mount
	took=$(($(t_now) - start))
	[ $took -le "$slowest_mount" ] || slowest_mount=$took
	[ $took -le "$limit" ] || t_fail "$name: $took ms to mount again"
	check_records "$name"
	check_whole "$name"
	t_umount
	t_fsck
	t_mount
	rm -rf "${MNT:?}"/*
	t_umount
}

has_more_records()
{
	[ "$(noted "$1")" -gt $(($2 + 1)) ]
}

# Without a parent all goes on; the worker dies after that.
parent_round()
{
	local name=$1 parent n

	t_mount
	parent=$(t_parent)
	start_load "$name"
	kill -KILL "$parent"
	sleep 0.3
	n=$(noted "$name")
	t_wait_until has_more_records "$name" "$n" ||
		t_fail "$name: no service without a parent"
	rm "$T/go"
	kill "${loads[0]}"
	wait
	t_umount
	t_fsck
	t_mount
	check_records "$name"
	check_whole "$name"
	rm -rf "${MNT:?}"/*
	t_umount
}

for round in $(seq "$first" $((first + rounds - 1))); do
	case $((round % 3)) in
	0)	parent_round "parent-$round" ;;
	1)	one_round "worker-$round" ;;
	2)	one_round "both-$round" ;;
	esac
done
t_ok "rounds=$rounds records=$records slowest_end_ms=$slowest slowest_mount_ms=$slowest_mount"

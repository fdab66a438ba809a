#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 of the worker, of the parent, of both, while programs write, read
# and list: whoever was served gets an error at once and nobody hangs, the next
# mount works at once, every synced record is there and whole, and the check
# finds nothing.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

rounds=${ROUNDS-2}
limit=${LIMIT-1500}	# milliseconds until everybody has ended
t_image 256M
D=$MNT/d		# not there when nothing is mounted
src=$T/fs
cp -a "${top_srcdir:?}/fs" "$src"	# nobody may edit it meanwhile
loads=()
slowest=0
records=0

# Appends numbered lines, each one synced before it is noted in the log.
records()
{
	local i=0

	while [ -e "$T/go" ]; do
		i=$((i + 1))
		printf 'record %07d\n' $i >> "$D/records-$1" || exit 0
		sync "$D/records-$1" || exit 0
		echo $i >> "$T/log-$1"
	done
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
	: > "$T/log-$1"
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

# What was synced is there; the line after may be.
check_records()
{
	local last synced

	synced=$(tail -n 1 "$T/log-$1")
	[ -n "$synced" ] || return 0
	last=$(tail -n 1 "$D/records-$1")
	if [ "$last" != "$(printf 'record %07d' "$synced")" ] &&
	   [ "$last" != "$(printf 'record %07d' $((synced + 1)))" ]; then
		t_fail "$1: record $synced was synced, the last one is: $last"
	fi
	seq -f 'record %07.0f' "$(wc -l < "$D/records-$1")" |
		cmp -s - "$D/records-$1" || t_fail "$1: the records are damaged"
	records=$((records + synced))
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
	[ $took -le 1000 ] || t_fail "$name: $took ms to mount again"
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
	[ "$(wc -l < "$1")" -gt $(($2 + 1)) ]
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
	n=$(wc -l < "$T/log-$name")
	t_wait_until has_more_records "$T/log-$name" "$n" ||
		t_fail "$name: no service without a parent"
	rm "$T/go"
	wait
	t_umount
	t_fsck
	t_mount
	check_records "$name"
	check_whole "$name"
	rm -rf "${MNT:?}"/*
	t_umount
}

for round in $(seq "$rounds"); do
	one_round "worker-$round"
	one_round "both-$round"
	parent_round "parent-$round"
done
t_ok "$records synced records in $rounds rounds; all had ended in $slowest ms"

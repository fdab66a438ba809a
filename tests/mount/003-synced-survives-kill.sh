#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Everything whose fsync was answered is there after kill -9 of the server,
# and what is there is whole.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

rounds=${ROUNDS-4}
t_image 256M

# In a folder of the filesystem: once it is detached there is none to write to.
writer()
{
	local round=$1 i=0

	while :; do
		i=$((i + 1))
		printf 'record %d of round %d\n' $i "$round" |
			dd of="$MNT/log/r$round-$i" conv=fsync status=none || exit 0
		echo "$i" >> "$T/log-$round"
	done
}

for round in $(seq "$rounds"); do
	: > "$T/log-$round"
	t_mount -o commit=1
	mkdir -p "$MNT/log"
	writer "$round" 2>/dev/null &
	sleep "0.$((3 + RANDOM % 6))"
	t_kill_server
	wait
	t_mount
	for old in $(seq "$round"); do
		while read -r i; do
			t_same "record" "$(cat "$MNT/log/r$old-$i")" \
				"record $i of round $old"
		done < "$T/log-$old"
	done
	[ -s "$T/log-$round" ] || t_fail "round $round wrote nothing"
	t_umount
	t_fsck
done
t_ok "$(cat "$T"/log-* | wc -l) synced records in $rounds rounds"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compare owfs with the floor (a FUSE server that does nothing), with Debian's
# fuse2fs and, if asked, with the kernel's ext4, on one image in memory that is
# formatted anew each time.  Its pages are there from the start: what memory
# costs when first touched is not what is measured.  All run in the same
# rounds, one after the other; printed are medians, their spread (half the distance of the quartiles, in percent), and
# what the promises are about: owfs as a share of the others.
#
#	run.sh [-r ROUNDS] [-n FILES] [-m MIB] [-t MSEC] [-s "floor owfs ..."]
#	       [-c single|dup] [-p] [-k]
#
#	-c  copies of metadata (owfs)
#	-s  which servers: floor owfs fuse2fs ext4
#	-p  plain fuse mounts instead of fuseblk (floor and owfs)
#	-k  keep the raw numbers and say where they are
#
# $top_builddir says where the programs are built, else it is the source tree.
set -eu
set -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-$here/..}
rounds=5 files=5000 mib=256 msec=1000 servers="floor owfs fuse2fs"
plain='' keep='' copies=''
while getopts r:n:m:t:s:c:pk opt; do
	case $opt in
	r) rounds=$OPTARG ;;
	n) files=$OPTARG ;;
	m) mib=$OPTARG ;;
	t) msec=$OPTARG ;;
	s) servers=$OPTARG ;;
	c) copies="-m $OPTARG" ;;
	p) plain='-o plain' ;;
	k) keep=1 ;;
	*) sed -n '3,22s/^# \{0,1\}//p' "$0"; exit 1 ;;
	esac
done

work=$(mktemp -d "${TMPDIR:-/dev/shm}/owfs-bench.XXXXXX")
mnt=$work/mnt img=$work/img raw=$work/raw
mkdir "$mnt"
cleanup()
{
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
	if [ -n "$keep" ]; then
		rm -f "$img"
		echo "raw numbers: $raw"
	else
		rm -rf "$work"
	fi
}
trap cleanup EXIT

fallocate -l $((2 * mib + files / 64 + 1536))M "$img"

# Mount a fresh $1 on $mnt.
serve()
{
	case $1 in
	floor)
		# shellcheck disable=SC2086
		"$build/bench/floor" $plain "$img" "$mnt" ;;
	owfs)
		# shellcheck disable=SC2086
		"$build/mkfs/mkfs.owfs" -q -f $copies "$img"
		# shellcheck disable=SC2086
		"$build/fs/fuse/owfs-fuse" $plain "$img" "$mnt" ;;
	fuse2fs)
		mkfs.ext4 -q -F -E nodiscard "$img"
		fuse2fs "$img" "$mnt" ;;
	ext4)
		mkfs.ext4 -q -F -E nodiscard "$img"
		mount -o loop "$img" "$mnt" ;;
	*)
		echo "unknown server $1" >&2
		exit 1 ;;
	esac
}

# A server that is told nothing at umount may take a moment more.
finish()
{
	umount "$mnt"
	flock -w 60 "$img" true
	while pgrep -f -- "fuse2fs $img" >/dev/null ||
	      losetup -j "$img" | grep -q .; do
		sleep 0.05
	done
}

for ((round = 0; round < rounds; round++)); do
	for server in $servers; do
		serve "$server"
		"$build/bench/driver" -n "$files" -m "$mib" -t "$msec" "$mnt" |
			sed "s/^/$server /" >> "$raw"
		finish
	done
	# the next round begins with another one
	set -- $servers
	first=$1
	shift
	servers="$* $first"
	echo "round $((round + 1)) of $rounds" >&2
done

awk -v servers="$servers" '
function sort(a, n,    i, j, t) {
	for (i = 2; i <= n; i++) {
		t = a[i]
		for (j = i - 1; j > 0 && a[j] > t; j--)
			a[j + 1] = a[j]
		a[j + 1] = t
	}
}
function quantile(a, n, q,    x, i) {
	x = 1 + (n - 1) * q
	i = int(x)
	return i == n ? a[n] : a[i] + (x - i) * (a[i + 1] - a[i])
}
{
	if (!($2 in unit))
		order[++norder] = $2
	unit[$2] = $4
	val[$1, $2, ++n[$1, $2]] = $3
	if ($5 != "")
		req[$1, $2] = $5
}
END {
	ns = split("owfs floor fuse2fs ext4", want, " ")
	printf "%-12s %-6s", "workload", "unit"
	for (s = 1; s <= ns; s++)
		if (index(servers, want[s]))
			printf " %18s", want[s]
	printf " %11s %13s %9s %9s\n", "owfs/floor", "owfs/fuse2fs", "req owfs", "req floor"
	for (o = 1; o <= norder; o++) {
		w = order[o]
		printf "%-12s %-6s", w, unit[w]
		delete med
		for (s = 1; s <= ns; s++) {
			k = want[s] SUBSEP w
			if (!index(servers, want[s]))
				continue
			delete a
			for (i = 1; i <= n[k]; i++)
				a[i] = val[want[s], w, i] + 0
			sort(a, n[k])
			m = med[want[s]] = n[k] ? quantile(a, n[k], 0.5) : 0
			spread = m ? (quantile(a, n[k], 0.75) - quantile(a, n[k], 0.25)) / 2 / m * 100 : 0
			printf " %11.0f +-%3.0f%%", m, spread
		}
		printf " %11s", med["floor"] && med["owfs"] ? sprintf("%.2f", med["owfs"] / med["floor"]) : "-"
		printf " %13s", med["fuse2fs"] && med["owfs"] ? sprintf("%.2f", med["owfs"] / med["fuse2fs"]) : "-"
		printf " %9s %9s\n", req["owfs", w], req["floor", w]
	}
}' "$raw"

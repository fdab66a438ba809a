#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How long a check takes, beside e2fsck: the same tree on both (populate -m), a
# million files or as said, checked in turns.  Printed are medians of the time
# by the clock, the share, and the most memory each had resident.
#
#	fsck.sh [-r ROUNDS] [-d DIRECTORY] [-m single|dup] [FILES]
#
# The images lie in DIRECTORY, else in /dev/shm, where everything is hot.  On a
# disk the first column is with the image's pages dropped before each run, the
# second with them left there.  They are sparse: some 1.5 GB for a million.
# Needs root for the loop mount.
set -eu
set -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-$here/..}
rounds=5 dir=${TMPDIR:-/dev/shm} copies=''
while getopts r:d:m: opt; do
	case $opt in
	r) rounds=$OPTARG ;;
	d) dir=$OPTARG ;;
	m) copies="-m $OPTARG" ;;
	*) sed -n '3,16s/^# \{0,1\}//p' "$0"; exit 1 ;;
	esac
done
shift $((OPTIND - 1))
files=${1:-1000000}
work=$(mktemp -d "$dir/owfs-fsck.XXXXXX")
trap 'umount "$work/mnt" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/mnt"

fsck=$build/fsck/fsck.owfs
size=$((files / 64 + 512))M
truncate -s "$size" "$work/ext4"
mkfs.ext4 -q -F -N $((files + files / 50 + 1000)) "$work/ext4"
mount -o loop "$work/ext4" "$work/mnt"
"$build/bench/populate" -m "$work/mnt" "$files"
umount "$work/mnt"
# shellcheck disable=SC2086
"$build/mkfs/mkfs.owfs" -q $copies "$work/owfs" "$size"
"$build/bench/populate" -m "$work/owfs" "$files"
sync

drop()
{
	dd if="$1" iflag=nocache count=0 status=none
}

# Name, cold or hot, image, then the command: seconds and KiB into the table.
once()
{
	local name=$1 how=$2 image=$3

	shift 3
	if [ "$how" = cold ]; then
		drop "$image"
	fi
	/usr/bin/time -o "$work/time" -f "%e %M" "$@" "$image" > "$work/out" 2>&1 || {
		cat "$work/out"
		exit 1
	}
	echo "$name $how $(cat "$work/time")" >> "$work/table"
}

for ((round = 0; round < rounds; round++)); do
	for how in cold hot; do
		once e2fsck "$how" "$work/ext4" e2fsck -f -n
		once owfs "$how" "$work/owfs" "$fsck" -f -n
	done
done

median()
{
	awk -v n="$1" -v h="$2" -v f="$3" '$1 == n && $2 == h { print $f }' \
		"$work/table" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}

tail -n 3 "$work/out"
echo "$files files, images of $size in $dir ($(df --output=fstype "$dir" | tail -n 1)), $rounds rounds"
for how in cold hot; do
	e=$(median e2fsck $how 3) o=$(median owfs $how 3)
	echo "$how: e2fsck -f -n $e s, fsck.owfs -f -n $o s ($(awk "BEGIN { printf \"%.2f\", $o / $e }") of it), resident $(median e2fsck $how 4) and $(median owfs $how 4) KiB"
done

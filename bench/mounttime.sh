#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How long a mount takes: of an empty image of 64 TiB, and of one with many
# files (a million, or as said).  Images are in memory; the time is that of
# owfs-fuse until the tree can be used, and that of the first stat.
#
#	mounttime.sh [FILES]
set -eu
set -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-$here/..}
files=${1:-1000000}
work=$(mktemp -d "${TMPDIR:-/dev/shm}/owfs-mount.XXXXXX")
trap 'umount "$work/mnt" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/mnt"

milliseconds()
{
	local from to

	from=$(date +%s%N)
	"$@"
	to=$(date +%s%N)
	echo $(((to - from) / 1000000))
}

measure()
{
	local round mount=() umount=()

	for round in 1 2 3 4 5; do
		mount+=("$(milliseconds "$build/fs/fuse/owfs-fuse" "$work/img" "$work/mnt")")
		stat "$work/mnt" > /dev/null
		umount+=("$(milliseconds umount "$work/mnt")")
	done
	echo "$1: mount ${mount[*]} ms, umount ${umount[*]} ms"
}

"$build/mkfs/mkfs.owfs" -q "$work/img" 64T
measure "64 TiB, empty"
rm "$work/img"
"$build/mkfs/mkfs.owfs" -q "$work/img" $((files / 128 + 1024))M
echo "$files files written in $(milliseconds "$build/bench/populate" "$work/img" "$files") ms"
measure "$files files"
echo "check: $(milliseconds "$build/fsck/fsck.owfs" -f -n "$work/img" | tail -n 1) ms"

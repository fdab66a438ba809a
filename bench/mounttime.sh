#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How long mount and unmount take: an image of 64 TiB, and one with as many
# files as asked for (default: a million), both in memory.
#
#	mounttime.sh [FILES]
#
# $top_builddir says where the programs are built, else it is the source tree.
set -eu
set -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-$here/..}
files=${1:-1000000}
work=$(mktemp -d "${TMPDIR:-/dev/shm}/owfs-mounttime.XXXXXX")
mnt=$work/mnt img=$work/img
mkdir "$mnt"
cleanup()
{
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# Milliseconds that the command takes.
took()
{
	local start=${EPOCHREALTIME/[.,]/}

	"$@"
	echo $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
}

# Mount and unmount some times; the image is $1.
measure()
{
	local i up='' down=''

	for ((i = 0; i < 5; i++)); do
		up+=" $(took "$build/fs/fuse/owfs-fuse" "$img" "$mnt")"
		down+=" $(took umount "$mnt")"
	done
	echo "$1: mount ms:$up umount ms:$down"
}

echo "format 64 TiB ms: $(took "$build/mkfs/mkfs.owfs" -q "$img" 64T)"
measure "64 TiB"
rm "$img"

"$build/mkfs/mkfs.owfs" -q "$img" $((files / 1000 * 4 + 1024))M
"$build/fs/fuse/owfs-fuse" "$img" "$mnt"
for ((dir = 0; dir * 10000 < files; dir++)); do
	mkdir "$mnt/d$dir"
	(cd "$mnt/d$dir" && seq -f f%g 10000 | xargs touch)
done
umount "$mnt"
measure "$files files"

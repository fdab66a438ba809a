#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What goes wrong at the start reaches the terminal in one line and the exit
# status, and nothing is mounted.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

mkdir "$MNT"

fails()
{
	local what=$1 regex=$2

	shift 2
	if "$OWFS_FUSE" "$@" > "$T/out" 2>&1; then
		t_fail "$what: started"
	fi
	grep -qiE -- "$regex" "$T/out" ||
		{ cat "$T/out"; t_fail "$what: no line matches $regex"; }
	! t_is_mounted "$MNT" || t_fail "$what: mounted all the same"
}

fails "no arguments" "device and mountpoint wanted"
fails "no such image" "no such file" "$T/none" "$MNT"
truncate -s 64M "$T/zero"
fails "no filesystem" "no owfs" "$T/zero" "$MNT"
head -c 1000 /dev/urandom > "$T/short"
fails "too short" "owfs" "$T/short" "$MNT"
t_image 64M
fails "no mount point" "no such file" "$IMG" "$T/nowhere"
fails "a directory" "directory; the device or image file comes first" "$MNT" "$IMG"
chmod 755 "$T"
chmod 600 "$IMG"
if [ "$(id -u)" -eq 0 ]; then
	REAL=$OWFS_FUSE
	OWFS_FUSE=as_other
	as_other()
	{
		setpriv --reuid=65534 --clear-groups "$REAL" "$@"
	}
	if setpriv --reuid=65534 --clear-groups test -x "$REAL"; then
		fails "no right to read" "denied; it takes root, or the right to read it" "$IMG" "$MNT"
		chmod 644 "$IMG"
		fails "no right to write" "right to read and write it; -o ro mounts read-only" "$IMG" "$MNT"
	fi
	OWFS_FUSE=$REAL
fi
fails "bad option" "nonsense" -o nonsense "$IMG" "$MNT"
fails "iomap where there is none" "iomap" -o iomap=on "$IMG" "$MNT"
cp "$IMG" "$T/cut"
truncate -s 40M "$T/cut"
fails "device shorter than the filesystem" "shorter than the filesystem" "$T/cut" "$MNT"
cp --sparse=always "$IMG" "$T/two"
for pos in 65536 131072; do
	dd if=/dev/urandom of="$T/two" bs=512 count=1 oflag=seek_bytes seek=$pos \
		conv=notrunc status=none
done
fails "two bad superblocks" "superblock" "$T/two" "$MNT"
t_mount
t_umount
t_ok "every failure is said"

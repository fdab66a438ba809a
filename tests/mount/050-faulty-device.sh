#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device that fails on demand, is slow, or goes away: an NBD server that can
# be told to, seen as a file.  Whoever writes or syncs hears of it, what was
# synced stays, the next fsck is told; nobody waits for somebody else's request.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd nbdkit nbdfuse

# Serve $T/disk through the filters given, as $DEV.
serve()
{
	local filters=()

	while [ "$1" != -- ]; do
		filters+=("--filter=$1")
		shift
	done
	shift
	mkdir -p "$T/nbd"
	nbdfuse "$T/nbd/dev" --command nbdkit -s --exit-with-parent \
		"${filters[@]}" file "$T/disk" "$@" 2> "$T/nbdkit.err" &
	SERVER=$!
	t_wait_until test -s "$T/nbd/dev" || { cat "$T/nbdkit.err"; t_fail "no device"; }
	DEV=$T/nbd/dev
}

unserve()
{
	fusermount3 -u "$T/nbd"
	wait "$SERVER" || true
	DEV=$T/disk
}

is_readonly()
{
	! touch "$MNT/more" 2> "$T/err" && grep -q "Read-only file system" "$T/err"
}

fails_with()
{
	local wanted=$1

	shift
	! "$@" > "$T/out" 2> "$T/err" || t_fail "$*: no error"
	grep -q "$wanted" "$T/err" || { cat "$T/err"; t_fail "$*: not: $wanted"; }
}

"$MKFS" -q "$T/disk" 64M
bad=$T/device-is-bad

# --- reading
serve error -- error-pread=EIO error-pread-rate=100% error-file="$bad"
t_mount
mkdir "$MNT/dir"
seq 100000 > "$MNT/dir/numbers"
t_remount
touch "$MNT/dir/warm"	# what new names need is in memory
touch "$bad"
fails_with "Input/output error" cat "$MNT/dir/numbers"
fails_with "Input/output error" cat "$MNT/dir/numbers"
touch "$MNT/dir/new" || t_fail "read errors of one file make all read-only"
rm "$bad"
t_same "read again" "$(cksum < "$MNT/dir/numbers")" "$(seq 100000 | cksum)"
t_umount
unserve
t_fsck
t_ok "a device that cannot be read for a while"

# --- writing
serve error -- error-pwrite=EIO error-pwrite-rate=100% error-file="$bad"
t_mount
echo synced > "$MNT/synced"
echo open > "$MNT/open"
sync "$MNT/synced"
exec 9> "$MNT/lost"
echo before >&9
sync
touch "$bad"
fails_with "Input/output error" dd if=/dev/zero bs=4k count=1 conv=notrunc of=/proc/self/fd/9
fails_with "Input/output error" sync "$MNT/lost"
fails_with "Input/output error" sync "$MNT/lost"
t_wait_until is_readonly || t_fail "still writable"
t_same "what was synced" "$(cat "$MNT/synced")" synced
exec 9>&-
rm "$bad"
t_umount
t_expect_out "errors were recorded: count=1 first=Input/output error block=[1-9]" \
	"$FSCK" -f -n "$DEV"
t_expect_out "time=20[0-9][0-9]-" "$FSCK" -f -n "$DEV"
t_mount
t_same "after the failure" "$(cat "$MNT/synced" "$MNT/open" "$MNT/lost")" \
	"$(printf 'synced\nopen\nbefore\n')"
echo again > "$MNT/synced"
t_umount
"$FSCK" -f -y "$DEV" > /dev/null || [ $? -eq 1 ] || t_fail "fsck does not clear it"
t_fsck
unserve
t_ok "a device that cannot be written for a while"

# --- stored to a mapped page
serve error -- error-pwrite=EIO error-pwrite-rate=100% error-file="$bad"
lost()
{
	local wanted=$1 told

	shift
	t_mount "$@"
	dd if=/dev/zero of="$MNT/mapped" bs=16k count=1 conv=fsync status=none
	told=$("$top_builddir/tests/mount/lost" "$MNT/mapped" "$bad" | tr '\n' ' ')
	t_same "told, mounted with $*" "$told" "$wanted fsync=EIO fsync=EIO fsync=EIO "
	rm "$bad"
	t_umount
	"$FSCK" -f -y "$DEV" > /dev/null || [ $? -eq 1 ] || t_fail "fsck"
}
lost close=EIO
lost close=EIO -o writeback
lost close=ok -o plain
unserve
t_ok "pages that cannot be written back"

# --- gone for good
serve error -- error-file="$bad"
t_mount
echo here > "$MNT/here"
sync "$MNT/here"
kill -KILL $(pgrep -P "$SERVER" -x nbdkit)
! dd if=/dev/zero of="$MNT/gone" bs=1M count=4 conv=fsync status=none 2> "$T/err" ||
	t_fail "written to a device that is not there"
t_wait_until is_readonly || t_fail "still writable"
t_umount
unserve
t_mount
t_same "on another server" "$(cat "$MNT/here")" here
t_umount
"$FSCK" -f -y "$DEV" > /dev/null || [ $? -eq 1 ] || t_fail "fsck after the end"
t_ok "a device that went away"

# --- slow
serve delay -- wdelay=400ms
t_mount -o threads=4
seq 1000 > "$MNT/small"
sync "$MNT/small"
dd if=/dev/zero of="$MNT/large" bs=1M count=12 conv=fsync status=none &
writer=$!
n=0
while kill -0 $writer 2>/dev/null; do
	t_same "read meanwhile" \
		"$(dd if="$MNT/small" bs=64k iflag=direct status=none | wc -l)" 1000
	n=$((n + 1))
done
[ $n -ge 4 ] || t_fail "others could do only $n things meanwhile"
wait $writer || t_fail "a slow device is no broken one"
t_remount
t_same "written slowly" "$(stat -c %s "$MNT/large")" 12582912
t_umount
unserve
t_fsck
t_ok "a slow device"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A server whose parent was killed serves on: what was synced is on the device,
# a signal makes all of it durable, umount ends it, and nothing is left behind.
# Out of its sandbox it cannot unmount; without one it does.  If it is killed as
# well, callers get an error at once, and umount cures it.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse

loops()
{
	[ "$(id -u)" -ne 0 ] || losetup -l -n -O BACK-FILE | grep -cF "$T/" || true
}

# What a power cut would leave now, in $T/cut.
cut()
{
	cp --sparse=always "$IMG" "$T/cut"
}

# cut_has NAME: and is it sound?
cut_has()
{
	cut
	"$FSCK" -f -n "$T/cut" > "$T/out" 2>&1 &&
		"$DUMP" "$T/cut" path "/$1" > /dev/null 2>&1
}

write_and_lose_parent()
{
	local parent

	t_image 64M
	t_mount "$@"
	echo synced > "$MNT/synced"
	sync "$MNT/synced" "$MNT"
	parent=$(t_parent)
	WORKER=$(t_worker)
	kill -KILL "$parent"
	t_wait_until test ! -e "/proc/$parent" || t_fail "the parent does not die"
	[ -e "/proc/$WORKER" ] || t_fail "$*: the server went with its parent"
	t_is_mounted "$MNT" || t_fail "$*: the mount went with the parent"
}

# It is over: all is there, and nothing else.
is_whole()
{
	local name

	t_wait_until t_no_server || t_fail "the server does not end"
	! t_is_mounted "$MNT" || t_fail "a mount is left"
	t_wait_until test "$(loops)" -eq 0 || t_fail "a loop device is left"
	t_fsck
	t_mount
	for name; do
		t_same "$name" "$(cat "$MNT/$name")" "$name"
	done
	t_umount
}

serves_on()
{
	write_and_lose_parent "$@"
	cut_has synced || t_fail "$*: what was synced is not on the device"
	t_same "without a parent" "$(cat "$MNT/synced")" synced
	echo later > "$MNT/later"
	sync "$MNT/later" "$MNT"
	cut_has later || t_fail "$*: a later sync does nothing"
	echo last > "$MNT/last"
	kill -TERM "$WORKER"
	t_wait_until cut_has last || t_fail "$*: SIGTERM made nothing durable"
	t_same "after the signal" "$(cat "$MNT/last")" last
	echo more > "$MNT/more"
	# that it is root whom this came from, its parent could have told it
	if [ "$(id -u)" -eq 0 ]; then
		t_expect 8 "$FSCK" -n "$MNT"
		t_expect_out "lost its parent process; umount $MNT, and check" \
			"$FSCK" -n "$MNT"
	fi
	timeout 20 umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT" ||
		t_fail "$*: umount"
	is_whole synced later last more
	t_ok "a server without a parent serves on until umount: $*"
}

unmounts_itself()
{
	write_and_lose_parent -o nosandbox "$@"
	echo last > "$MNT/last"
	kill -TERM "$WORKER"
	is_whole synced last
	t_ok "without a sandbox a signal unmounts: $*"
}

dies_too()
{
	local start

	write_and_lose_parent "$@"
	kill -KILL "$WORKER"
	t_wait_until t_no_server || t_fail "$*: the server cannot be killed"
	start=$SECONDS
	timeout 10 ls "$MNT" > "$T/out" 2>&1 && t_fail "$*: a dead mount is listed"
	[ $((SECONDS - start)) -le 2 ] || t_fail "$*: a caller hung"
	t_expect_out "umount $MNT" "$OWFS_FUSE" "$DEV" "$MNT"
	umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT" ||
		t_fail "$*: a dead mount stays"
	is_whole synced
	t_ok "two that were killed leave what was synced: $*"
}

for options in '' '-o plain'; do
	# shellcheck disable=SC2086
	serves_on $options
	# shellcheck disable=SC2086
	unmounts_itself $options
	# shellcheck disable=SC2086
	dies_too $options
done

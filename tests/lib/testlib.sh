# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What tests written in shell share.  A test begins with
#
#	. "${top_srcdir:?}/tests/lib/testlib.sh"
#	t_require_fuse
#
# and gets a directory of its own in $T, removed at the end together with
# every mount, loop device and server of the test, also when it fails.
#
#	t_image SIZE [MKFS-OPTION...]	make $T/img and format it; sets $IMG, $DEV
#	t_loop				attach $IMG; $DEV is the loop device then
#	t_mount [OWFS-FUSE-OPTION...]	mount $DEV on $MNT, with $T_MOUNT_OPTIONS
#					as well, so that one script tests more
#					than one kind of mount
#	t_umount			unmount $MNT and wait for the server's end
#	t_remount			both: what is on disk is what is seen
#	t_fsck [OPTION...]		check $DEV, which must be clean
#	t_worker   t_parent		process numbers of the server
#	t_served COMMAND...		run it; it may ask for "kill", "mount",
#					"remount" (see there)
#	t_expect STATUS COMMAND...	run it, fail unless it exits with STATUS
#	t_expect_out REGEX COMMAND...	run it, fail unless its output matches
#	t_same WHAT GOT WANTED		fail unless both strings are equal
#	t_at_exit=FUNCTION		called before all that, also after a failure
#	t_ok CLAIM   t_fail WHY   t_skip WHY
#
# A command that fails ends the test (set -e), and so does an unset variable.

set -eu
set -o pipefail
umask 022

: "${top_builddir:?}" "${top_srcdir:?}"
# Left for the tests to use.
# shellcheck disable=SC2034
{
MKFS=$top_builddir/mkfs/mkfs.owfs
FSCK=$top_builddir/fsck/fsck.owfs
DUMP=$top_builddir/dump/owfs-dump
OWFS_FUSE=$top_builddir/fs/fuse/owfs-fuse
}
T_NAME=$(basename "$0" .sh)
IMG=
DEV=
# /dev/shm is memory: fast, and it takes sparse files of 64 TiB, which the
# file system under /tmp may not.
if [ -z "${TMPDIR-}" ] && [ -w /dev/shm ]; then
	TMPDIR=/dev/shm
fi
T=$(mktemp -d "${TMPDIR:-/tmp}/owfs-$T_NAME.XXXXXX")
MNT=$T/mnt
# What is meant for a mount that is gone shall not fill the machine's memory.
if [ "$(id -u)" -eq 0 ]; then
	mount -t tmpfs -o size=2g,mode=700 owfs-test "$T" 2>/dev/null || true
fi

t_ok()
{
	echo "ok: $*"
}

t_skip()
{
	echo "SKIP: $T_NAME: $*"
	exit 77
}

t_fail()
{
	echo "FAIL: $T_NAME: $*"
	exit 1
}

# --- What a test needs ----------------------------------------------------

t_require_root()
{
	[ "$(id -u)" -eq 0 ] || t_skip "needs root"
}

t_require_cmd()
{
	local command

	for command; do
		command -v "$command" >/dev/null || t_skip "needs $command"
	done
}

t_require_fuse()
{
	[ -c /dev/fuse ] || t_skip "needs /dev/fuse"
	if ! [ -r /dev/fuse ] || ! [ -w /dev/fuse ]; then
		t_skip "may not open /dev/fuse"
	fi
	[ -x "$OWFS_FUSE" ] || t_fail "$OWFS_FUSE is not built"
	if [ "$(id -u)" -ne 0 ]; then
		t_require_cmd fusermount3
	fi
}

t_require_loop()
{
	t_require_root
	t_require_cmd losetup
	losetup -f >/dev/null 2>&1 || t_skip "needs a free loop device"
}

# --- Images and mounts ----------------------------------------------------

# shellcheck disable=SC2120
t_image()
{
	local size=${1:-64M}

	[ $# -eq 0 ] || shift
	IMG=$T/img
	DEV=$IMG
	rm -f "$IMG"
	"$MKFS" -q "$@" "$IMG" "$size"
}

t_loop()
{
	t_require_loop
	DEV=$(losetup --show -f "$IMG")
}

t_is_mounted()
{
	grep -qF " $1 " /proc/self/mounts
}

t_mount()
{
	mkdir -p "$MNT"
	"$OWFS_FUSE" ${T_MOUNT_OPTIONS:+-o "$T_MOUNT_OPTIONS"} "$@" "$DEV" "$MNT"
	t_is_mounted "$MNT" || t_fail "mounted without an error, but not in /proc/self/mounts"
}

# The processes that have a word that begins with $T on their command line:
# the servers of this test.
t_servers()
{
	local dir words

	for dir in /proc/[0-9]*; do
		mapfile -d '' words 2>/dev/null < "$dir/cmdline" || continue
		case "${words[0]-} ${words[*]}" in
		*owfs-fuse\ *"$T/"*)	echo "${dir#/proc/}" ;;
		esac
	done
}

# The two processes of the server: who serves, and who holds the mount.
t_worker()
{
	local pid ppid servers

	servers=" $(t_servers | tr '\n' ' ')"
	for pid in $servers; do
		ppid=$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")
		case $servers in
		*" $ppid "*)	echo "$pid" ;;
		esac
	done
}

t_parent()
{
	awk '/^PPid/ { print $2 }' "/proc/$(t_worker)/status"
}

# Wait until "$@" holds, at most ten seconds.
t_wait_until()
{
	local tries=200

	until "$@"; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.05
	done
}

# The process whose number is in file $1 runs $2, and waits for something.
t_is_asleep()
{
	[ -s "$1" ] &&
	grep -q "^Name:.*$2" "/proc/$(cat "$1")/status" &&
	grep -q '^State:.*sleeping' "/proc/$(cat "$1")/status"
}

t_not_mounted()
{
	! t_is_mounted "$MNT"
}

# Milliseconds, of a clock that begins somewhere.
t_now()
{
	local up

	read -r up _ < /proc/uptime
	echo "${up/./}0"
}

t_no_server()
{
	[ -z "$(t_servers)" ]
}

t_umount()
{
	if [ "$(id -u)" -eq 0 ]; then
		umount "$MNT"
	else
		fusermount3 -u "$MNT"
	fi
	t_wait_until t_no_server || t_fail "the server lives on after umount$(t_copies)"
}

# A mount lives until its last copy is gone, in whatever namespace that is.
t_copies()
{
	if grep -qsF " $MNT " /proc/[0-9]*/mountinfo; then
		echo ": another mount namespace has a copy of the mount"
	fi
}

t_remount()
{
	t_umount
	t_mount "$@"
}

# Kill the servers of this test as a crash would, and clear the mount point.
t_kill_server()
{
	local pid

	for pid in $(t_servers); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	t_wait_until t_no_server || t_fail "the server cannot be killed"
	umount -l "$MNT" 2>/dev/null || true
}

# Run a program that asks for what only we can do: a line to its descriptor 8,
# answered by "ok" on its descriptor 9.  Its output goes to $T/served.  Mounts
# have the options in $mount_options.
t_served()
{
	local word program

	rm -f "$T/ask" "$T/answer"
	mkfifo "$T/ask" "$T/answer"
	"$@" 8> "$T/ask" 9< "$T/answer" > "$T/served" 2>&1 &
	program=$!
	exec 8< "$T/ask" 9> "$T/answer"
	while read -r word <&8; do
		case $word in
		kill)		t_kill_server ;;
		mount)		t_mount ${mount_options+-o "$mount_options"} ;;
		remount)	t_remount ${mount_options+-o "$mount_options"} ;;
		*)		t_fail "asked for \"$word\"" ;;
		esac 8<&- 9>&-
		# unless it has ended meanwhile
		(trap '' PIPE; echo ok >&9) 2>/dev/null || break
	done
	exec 8<&- 9>&-
	wait $program
}

t_fsck()
{
	local status=0

	"$FSCK" -f -n "$@" "$DEV" > "$T/fsck.out" 2>&1 || status=$?
	if [ $status -ne 0 ]; then
		cat "$T/fsck.out"
		t_fail "fsck.owfs: exit status $status"
	fi
}

# --- Claims ---------------------------------------------------------------

t_expect()
{
	local wanted=$1 status=0

	shift
	"$@" > "$T/out" 2>&1 || status=$?
	if [ $status -ne "$wanted" ]; then
		cat "$T/out"
		t_fail "$*: exit status $status, not $wanted"
	fi
}

t_expect_out()
{
	local regex=$1

	shift
	"$@" > "$T/out" 2>&1 || true
	if ! grep -qE -- "$regex" "$T/out"; then
		cat "$T/out"
		t_fail "$*: no line matches: $regex"
	fi
}

t_same()
{
	[ "$2" = "$3" ] || t_fail "$1: got \"$2\", wanted \"$3\""
}

# A line for every file of a tree with all that must survive a copy.
t_listing()
{
	(cd "$1" && find . -mindepth 1 \
		\( -type d -printf '%y %m %U:%G - %T@ %p\n' \) -o \
		-printf '%y %m %U:%G %s %T@ n=%n %p -> %l\n' | LC_ALL=C sort -k 6)
}

# --- The end --------------------------------------------------------------

# The connection of a mount in fusectl: its abort file frees whoever hangs.
# It is called by the kernel's number of the device.
t_abort_fuse()
{
	local number

	number=$(awk -v m="$1" '$5 == m { split($3, d, ":"); print d[1] * 1048576 + d[2] }' \
		/proc/self/mountinfo | tail -n 1)
	echo 1 2>/dev/null > "/sys/fs/fuse/connections/$number/abort" || true
}

t_clear_mounts()
{
	local mount

	awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/self/mounts | tac |
	while read -r mount; do
		if timeout 30 umount "$mount" 2>/dev/null ||
		   timeout 30 fusermount3 -u "$mount" 2>/dev/null; then
			continue
		fi
		echo "cleanup: $mount does not unmount, aborting it"
		t_abort_fuse "$mount"
		umount -l "$mount" 2>/dev/null || fusermount3 -uz "$mount" || true
	done
}

t_cleanup()
{
	local pid loop status=$?

	trap - EXIT INT TERM HUP
	set +e
	cd /
	${t_at_exit-}
	t_clear_mounts
	t_wait_until t_no_server
	for pid in $(t_servers); do
		echo "cleanup: killing server $pid"
		kill -KILL "$pid" 2>/dev/null
	done
	if [ "$(id -u)" -eq 0 ] && command -v losetup >/dev/null; then
		losetup -l -n -O NAME,BACK-FILE 2>/dev/null |
		while read -r loop file; do
			case $file in
			"$T"/*)	losetup -d "$loop" ;;
			esac
		done
	fi
	! t_is_mounted "$T" || umount "$T" || umount -l "$T"
	rm -rf --one-file-system "$T"
	exit $status
}
trap t_cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP

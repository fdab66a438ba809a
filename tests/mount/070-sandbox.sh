#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A server that a request can hijack (hijacked.c) reaches nothing: no file, no
# socket, no other process.  What is fatal kills it at once, and its parent says
# why.  With -o nosandbox the same attempts succeed, so that they are some.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd getfattr setpriv
case $("$OWFS_FUSE" -V) in
*'sandbox: whole'*)	;;
*)	t_skip "$("$OWFS_FUSE" -V | grep sandbox)" ;;
esac
OWFS_FUSE=$T/owfs-fuse
cp "$top_builddir/tests/mount/hijacked" "$OWFS_FUSE"
OUT=$T/out

# Somebody with no rights at all, for it to attack.
start_victim()
{
	setpriv --bounding-set=-all --inh-caps=-all sleep 1000 &
	VICTIM=$!
}
t_at_exit=stop_victim
VICTIM=
stop_victim()
{
	[ -z "$VICTIM" ] || kill "$VICTIM" 2>/dev/null || true
}

serve()
{
	: > "$OUT"
	"$OWFS_FUSE" -f "$@" "$DEV" "$MNT" > "$OUT" 2>&1 &
	SERVER=$!
	t_wait_until t_is_mounted "$MNT" || { cat "$OUT"; t_fail "no mount"; }
}

# What became of it: "done", an error, or "killed".
hijack()
{
	timeout 10 getfattr --only-values -n "user.hijack.$1.$2" "$MNT" 2>/dev/null ||
		echo "killed"
}

ended_by_sandbox()
{
	wait "$SERVER" && t_fail "$1: the server ended well"
	grep -q 'its sandbox stopped a system call' "$OUT" ||
		{ cat "$OUT"; t_fail "$1: the parent does not say why"; }
	! t_is_mounted "$MNT" || t_fail "$1: a dead mount is left"
}

# WHAT is tried with ARGUMENT by a server with these options; $HOW it went.
try()
{
	local what=$1 arg=$2

	shift 2
	echo secret > "$T/secret"
	rm -f "$T/new"
	start_victim
	[ "$arg" != victim ] || arg=$VICTIM
	serve "$@"
	HOW=$(hijack "$what" "$arg")
}

close_up()
{
	umount "$T/point" 2>/dev/null || true
	umount "$MNT" 2>/dev/null || true
	wait "$SERVER" || STATUS=$?
	stop_victim
}

attempt()
{
	try "$@" -o nosandbox
	close_up
	# what a program has left that took the server's place
	[ "$1" != exec ] || [ ! -e "$T/new" ] || HOW=done
	t_same "$1 without a sandbox" "$HOW" done

	STATUS=0
	try "$@"
	echo "$1: $HOW"
	[ -s "$T/secret" ] || t_fail "$1: a file is gone"
	[ ! -e "$T/new" ] || t_fail "$1: a file was made"
	kill -0 "$VICTIM" || t_fail "$1: another process is gone"
	if [ "$HOW" = killed ]; then
		ended_by_sandbox "$1"
		stop_victim
	else
		t_same "$1" "$HOW" "Permission denied"
		close_up
		t_same "$1: exit status" $STATUS 0
	fi
}

t_image 64M
mkdir "$MNT" "$T/point"
attempt look "$T/secret"
attempt read "$T/secret"
attempt write "$T/new"
attempt unlink "$T/secret"
attempt socket -
attempt local -
attempt fork -
attempt exec "$T/new"
attempt kill victim
attempt mount "$T/point"
attempt unshare -
attempt code -
if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" = 0 ]; then
	attempt trace victim
fi
t_ok "a hijacked server reaches nothing"

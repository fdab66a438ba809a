# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of programs with a hole (hijacked.c) share, on top of testlib.sh.
#
#	locks_itself_in COMMAND...	nothing that the command is made to try
#					succeeds, and all of it without a sandbox;
#					before each try fresh_image is called

case $("$OWFS_FUSE" -V) in
*'sandbox: whole'*)	;;
*)	t_skip "$("$OWFS_FUSE" -V | grep sandbox)" ;;
esac
here=$top_builddir/tests/fsck
ATTEMPTS='look read write unlink socket local fork exec kill code'
[ "$(id -u)" -ne 0 ] || ATTEMPTS="$ATTEMPTS mount unshare"

# Somebody for it to attack.
t_at_exit=stop_victim
VICTIM=
start_victim()
{
	sleep 1000 &
	VICTIM=$!
}
stop_victim()
{
	[ -z "$VICTIM" ] || kill "$VICTIM" 2>/dev/null || true
	wait $VICTIM 2>/dev/null || true
}

# try WHAT COMMAND...: how it went, in $HOW
try()
{
	local what=$1 arg=$T/secret status=0

	shift
	echo secret > "$T/secret"
	rm -f "$T/new"
	fresh_image
	case $what in
	write | exec)	arg=$T/new ;;
	kill)		arg=$VICTIM ;;
	mount)		arg=$T/point ;;
	esac
	# the shell has a word to say of what is killed
	{ HIJACK=$what.$arg "$@" > "$T/out" 2>&1 || status=$?; } 2> /dev/null
	HOW=$(sed -n 's/^hijacked: //p' "$T/out")
	[ $status -ne 159 ] || HOW=killed
	umount "$T/point" 2>/dev/null || true
}

locks_itself_in()
{
	local what

	for what in $ATTEMPTS; do
		start_victim
		export HIJACK_FREE=y
		try "$what" "$@"
		unset HIJACK_FREE
		# what a program has left that took this one's place
		[ "$what" != exec ] || [ ! -e "$T/new" ] || HOW=done
		t_same "$what without a sandbox, $*" "$HOW" done
		stop_victim

		start_victim
		try "$what" "$@"
		case $what:$HOW in
		look:'Permission denied' | read:'Permission denied' | *:killed) ;;
		*)	cat "$T/out"; t_fail "$*: $what: \"$HOW\"" ;;
		esac
		[ -s "$T/secret" ] || t_fail "$*: $what: a file is gone"
		[ ! -e "$T/new" ] || t_fail "$*: $what: a file was made"
		kill -0 "$VICTIM" || t_fail "$*: $what: a process is gone"
		stop_victim
	done
	t_ok "a hijacked $(basename "$1") ${*:2} reaches nothing"
}

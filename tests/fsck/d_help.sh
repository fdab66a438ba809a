#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every program says how it is called and which version it is, by short and by
# long names, and does not claim to have said what did not arrive.
. "${top_srcdir:?}/tests/lib/testlib.sh"

# lost STATUS PROGRAM ARGUMENT...: what it prints gets lost, and it says so.
lost()
{
	local wanted=$1 status=0

	shift
	"$@" > /dev/full 2> "$T/err" || status=$?
	t_same "exit status of $* > /dev/full" $status "$wanted"
	t_same "$* > /dev/full" "$(sed 's/^[a-z.-]*: //' "$T/err")" \
		"cannot write: No space left on device"
	status=0
	"$@" >&- 2> "$T/err" || status=$?
	t_same "exit status of $* without an output" $status "$wanted"
	grep -q 'cannot write: ' "$T/err" || t_fail "$*: says nothing"
}

for program in mkfs/mkfs.owfs:1 fsck/fsck.owfs:8 dump/owfs-dump:1 \
	fs/fuse/owfs-fuse:1; do
	status=${program#*:}
	program=$top_builddir/${program%:*}
	name=$(basename "$program")
	[ -x "$program" ] || continue
	for help in -h --help; do
		t_expect 0 "$program" $help
		t_expect_out "^usage: $name " "$program" $help
		lost "$status" "$program" $help
	done
	for version in -V --version; do
		t_expect 0 "$program" $version
		t_expect_out "^(${name%%-*}|$name) [0-9]" "$program" $version
		lost "$status" "$program" $version
	done
	for bad in -x --nonsense; do
		t_expect_out "^$name: unknown option \"$bad\"; $name -h lists" \
			"$program" $bad
	done
done

t_image 16M
lost 1 "$DUMP" "$IMG"
lost 1 "$MKFS" -f "$IMG"
lost 8 "$FSCK" "$IMG"
t_ok "programs tell what they are"

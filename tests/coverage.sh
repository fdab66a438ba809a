#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How much of fs/ the tests reach: builds with --enable-coverage, runs make
# check, the mount scripts and a short make prove, and counts with gcov.
#
#	coverage.sh SOURCE WORK [PART...]
#
#	WORK	where it is built
#	PART	of build, check, mount, prove, report; all of them without.
#		build forgets what was counted before.
#
# The table in doc/testing.md is written anew; the last line has the totals.
# Ends with 1 if lines of fs/ fall below 95 %, or a branch of a verifier is not
# taken, or coverage.except says what is not so.
#
# A process that is killed, leaves by _exit, or is an ordinary user's takes what
# it counted with it.
set -u
source=$(cd "$1" && pwd)
mkdir -p "$2" && work=$(cd "$2" && pwd) || exit 99
shift 2
jobs=$(nproc)
# unoptimised and counting, everything takes its time; the thousandth damaged
# image reaches no new line
export TEST_TIMEOUT=${TEST_TIMEOUT:-1800} FORGED_CASES=${FORGED_CASES:-300}

part_build()
{
	cd "$work" || exit 99
	[ -f config.status ] ||
		"$source/configure" -q --enable-coverage CFLAGS='-g' \
			${CC:+CC="$CC"} || exit 99
	make -j"$jobs" > make.log 2>&1 || { tail -n 20 make.log; exit 99; }
	find . -name '*.gcda' -delete
}

part_check()
{
	make -C "$work" -k -j"$jobs" check > "$work/check.log" 2>&1 ||
		grep '^FAIL' "$work/check.log"
}

part_mount()
{
	make -C "$work/tests/lib" check TESTS= > "$work/mount.log" 2>&1
	# an ordinary user cannot write the counters, and says so where it matters
	TEST_LEAVE_OUT='009-ordinary-user.sh' \
		make -C "$work/tests/mount" -k -j"$jobs" check-mount \
		>> "$work/mount.log" 2>&1 ||
		grep '^FAIL' "$work/mount.log"
}

part_prove()
{
	make -C "$work" prove STATES=5000 > "$work/prove.log" 2>&1
	tail -n 1 "$work/prove.log"
}

part_report()
{
	local dir

	for dir in "$work"/fs/*/; do
		(cd "$dir" && gcov -b -c -t ./*.gcno 2>/dev/null)
	done | perl "$source/tests/coverage.pl" "$source/tests/coverage.except" \
		"$source/doc/testing.md"
}

[ $# -gt 0 ] || set -- build check mount prove report
for part; do
	"part_$part" || status=$?
done
exit "${status:-0}"

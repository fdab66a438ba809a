#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run one test of the harness with a limit of time: a test that hangs has
# failed, and must not take the others with it.
#
# What TEST_LEAVE_OUT names (patterns) is skipped.
limit=${TEST_TIMEOUT:-300}
for pattern in ${TEST_LEAVE_OUT-}; do
	# shellcheck disable=SC2254
	case ${1##*/} in
	$pattern)
		echo "SKIP: has one thread"
		exit 77 ;;
	esac
done
case $1 in
*.sh)	set -- bash "$@" ;;
esac
# for a build with ThreadSanitizer: what is liburcu's own business
supp=${top_srcdir:-$(dirname "$0")/../..}/tests/tsan.supp
export TSAN_OPTIONS="suppressions=$supp ${TSAN_OPTIONS-}"
timeout --kill-after=60 "$limit" "$@"
status=$?
[ $status -ne 124 ] || echo "FAIL: no end within $limit seconds"
echo "took $SECONDS seconds"
exit $status

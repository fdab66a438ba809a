#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run one test of the harness with a limit of time: a test that hangs has
# failed, and must not take the others with it.
limit=${TEST_TIMEOUT:-300}
case $1 in
*.sh)	set -- bash "$@" ;;
esac
timeout --kill-after=60 "$limit" "$@"
status=$?
[ $status -ne 124 ] || echo "FAIL: no end within $limit seconds"
exit $status

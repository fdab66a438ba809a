#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Interrupted, the check exits with 32.  It is caught in the act by a pipe for
# its progress that is full.
. "${top_srcdir:?}/tests/lib/testlib.sh"

t_image 16M
mkfifo "$T/pipe"
exec 8<> "$T/pipe"
dd if=/dev/zero bs=4096 count=16 status=none >&8	# all it takes
# not by the shell's &, which would have it ignore SIGINT
cat > "$T/run" <<END
trap - INT
exec "$FSCK" -f -C 8 "$IMG"
END
(
	set +e
	env --default-signal=INT bash "$T/run" > "$T/out" 2>&1 &
	echo $! > "$T/pid"
	wait $!
	echo $? > "$T/status"
) &

t_wait_until t_is_asleep "$T/pid" fsck || t_fail "does not wait for its pipe"
kill -INT "$(cat "$T/pid")"
t_wait_until test -s "$T/status" || t_fail "does not end"
t_same 'exit status' "$(cat "$T/status")" 32
grep -q interrupted "$T/out" || t_fail "says nothing: $(cat "$T/out")"
exec 8>&-
t_ok "exit status 32"

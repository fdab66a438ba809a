#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a repair has given up is said before it is committed, also into a file:
# killed after that, nobody else will ever say it.  It is caught between two
# rounds by a pipe for its progress that becomes full there.
. "${top_srcdir:?}/tests/lib/testlib.sh"

# room for the ten lines of the first round, which checks two commits, and two more
line="1 1 1 $T/img"
room=$((12 * (${#line} + 1) + 3))

t_image 16M
"$top_builddir/tests/fsck/owfs-edit" "$IMG" <<END
insert xattr / hash:user.a namelen=6 valuelen=1 'user.ax
set xattr:/ valuelen 5
END
mkfifo "$T/pipe"
exec 8<> "$T/pipe"
dd if=/dev/zero bs=4096 count=15 status=none >&8
dd if=/dev/zero bs=$((4096 - room)) count=1 status=none >&8
(
	set +e
	"$FSCK" -f -y -C 8 "$IMG" > "$T/report" 2>&1 &
	echo $! > "$T/pid"
	wait $!
	echo $? > "$T/status"
) 2> /dev/null &

t_wait_until t_is_asleep "$T/pid" fsck || t_fail "does not wait for its pipe"
kill -KILL "$(cat "$T/pid")"
t_wait_until test -s "$T/status" || t_fail "does not end"
exec 8>&-
t_same 'exit status' "$(cat "$T/status")" 137

# it is gone, and a second run does not say of what; the commit before still has
# it, which is no state to go back to
t_expect 1 "$FSCK" -y "$IMG"
grep -q 'given up' "$T/out" && t_fail "given up a second time"
t_expect 0 "$FSCK" -f -n "$IMG"
for said in 'extended attribute is malformed' 'given up: inode 1: extended attribute'; do
	grep -q "$said" "$T/report" || t_fail "never said: $said"
done
t_ok "what was given up has been said"

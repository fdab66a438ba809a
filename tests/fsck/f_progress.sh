#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -C writes lines to a descriptor, or draws a bar.
. "${top_srcdir:?}/tests/lib/testlib.sh"

t_image 16M
"$FSCK" -f -C 7 "$IMG" 7> "$T/lines" > "$T/out"
grep -qE "^5 [0-9]+ [0-9]+ $IMG\$" "$T/lines" || t_fail "no lines: $(cat "$T/lines")"
[ "$(wc -l < "$T/out")" -eq 1 ] || t_fail "more than the sums: $(cat "$T/out")"
"$FSCK" -f -C 0 "$IMG" > "$T/out"
grep -q '100.0%' "$T/out" || t_fail "no bar"
# a descriptor that is not open might become that of the image
before=$(cksum < "$IMG")
for fd in 3 4 5 6 7 8 9; do
	eval "t_expect 16 \"\$FSCK\" -f -y -C $fd \"\$IMG\" $fd>&-"
done
t_same 'the image' "$(cksum < "$IMG")" "$before"
# a bare chroot may have no pseudo-terminals
if script -qec true /dev/null < /dev/null > "$T/out" 2>&1; then
	script -qec "$FSCK -f $IMG" /dev/null < /dev/null > "$T/out" 2>&1
	grep -q '|' "$T/out" || t_fail "no bar on a terminal"
	script -qec "$FSCK -f -p $IMG" /dev/null < /dev/null > "$T/out" 2>&1
	if grep -q '|' "$T/out"; then
		t_fail "a bar with -p"
	fi
fi
t_ok "lines and bars"

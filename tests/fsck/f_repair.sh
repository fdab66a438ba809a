#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The repair as a program: exit codes, what it says, what it asks.
. "${top_srcdir:?}/tests/lib/testlib.sh"

# two superblocks of four are gone
damage()
{
	t_image 16M
	dd if=/dev/zero of="$IMG" bs=4096 seek=16 count=1 conv=notrunc status=none
	dd if=/dev/zero of="$IMG" bs=4096 seek=32 count=1 conv=notrunc status=none
}

# nothing is written without a yes
damage
before=$(cksum < "$IMG")
t_expect 4 "$FSCK" -n "$IMG"
t_expect 4 "$FSCK" -p "$IMG"
t_expect 4 "$FSCK" "$IMG" < /dev/null
t_same 'the image' "$(cksum < "$IMG")" "$before"

# 1, then 0
t_expect_out 'go on from the newest that is left: yes' "$FSCK" -y "$IMG"
t_expect 0 "$FSCK" "$IMG"
t_expect 0 "$FSCK" -f "$IMG"
damage
t_expect 1 "$FSCK" -y "$IMG"
t_expect 0 "$FSCK" -y "$IMG"
t_expect 0 "$FSCK" -f -y "$IMG"
damage
t_expect_out '3 problems corrected' "$FSCK" -y "$IMG"
t_expect_out ': clean, ' "$FSCK" -y "$IMG"

# asked, where there is a terminal
if script -qec true /dev/null < /dev/null > "$T/out" 2>&1; then
	damage
	before=$(cksum < "$IMG")
	printf 'n\nn\nn\n' | script -qec "$FSCK $IMG" /dev/null > "$T/out" 2>&1 || true
	t_same 'the image' "$(cksum < "$IMG")" "$before"
	# one long answer is none to the next question
	printf 'y%062dn\ny\ny\n' 0 | script -qec "$FSCK $IMG" /dev/null > "$T/out" 2>&1 || true
	grep -q '3 problems corrected' "$T/out" || t_fail "not corrected: $(cat "$T/out")"
	damage
	printf 'y\na\n' | script -qec "$FSCK $IMG" /dev/null > "$T/out" 2>&1 || true
	grep -qF '[Y/n/a]' "$T/out" || t_fail "no question: $(cat "$T/out")"
	grep -q '3 problems corrected' "$T/out" || t_fail "not corrected: $(cat "$T/out")"
	t_expect 0 "$FSCK" -f "$IMG"
fi
t_ok "1 and 0; no without a yes"

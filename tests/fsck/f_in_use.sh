#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is in use is not repaired, but looked at with -n.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_cmd flock

t_image 16M
exec 9< "$IMG"
flock -x 9
for options in '' -p -y -f; do
	# shellcheck disable=SC2086
	t_expect 8 "$FSCK" $options "$IMG"
done
t_expect_out 'is in use by' "$FSCK" "$IMG"
t_expect 0 "$FSCK" -n "$IMG"
t_expect 0 "$FSCK" -n -f "$IMG"
exec 9<&-
t_expect 0 "$FSCK" -p "$IMG"
t_ok "only -n works on what is in use"

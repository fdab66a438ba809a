#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mandoc finds nothing to complain about in the manual pages.  What it knows
# of the pages of other packages depends on the machine and does not count.
cd "${top_srcdir:-$(dirname "$0")/../..}/man" || exit 99
command -v mandoc >/dev/null || { echo "SKIP: needs mandoc"; exit 77; }

found=$(for page in *.[1-9]; do
	grep -q '^\.so ' "$page" || mandoc -T lint "$page"
done 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db')
printf '%s\n' "$found"
[ -z "$found" ]

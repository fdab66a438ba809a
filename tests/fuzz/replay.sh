#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a fuzzer ever found: inputs/TARGET/NAME, each once more.
set -u
here=${top_srcdir:?}/tests/fuzz/inputs
build=${top_builddir:?}/tests/fuzz
bad=0 n=0
for file in "$here"/*/*; do
	[ -e "$file" ] || continue
	target=$(basename "$(dirname "$file")")
	n=$((n + 1))
	"$build/$target" "$file" || { echo "FAIL: $target $file"; bad=1; }
done
echo "$n inputs"
[ $n -gt 0 ] && exit $bad

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every defect still has its place in the source, exactly one: else run.sh
# would have nothing to hunt.
set -u
status=0
for mut in "${top_srcdir:?}"/tests/mutants/*.mut; do
	file=$top_srcdir/$(sed -n 's/^file: //p' "$mut" | head -n 1)
	n=$(FROM=$(sed -n '/^<<<<$/,/^====$/{/^<<<<$/d;/^====$/d;p}' "$mut") \
		perl -0777 -ne '$f = "$ENV{FROM}\n"; $n = () = /\Q$f\E/g; print $n' \
		"$file")
	if [ "${n:-0}" -ne 1 ]; then
		echo "${mut##*/}: stands ${n:-0} times in ${file#"$top_srcdir"/}"
		status=1
	fi
done
exit $status

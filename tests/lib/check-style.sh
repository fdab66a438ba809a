#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a machine can see of the style: a licence tag in every file, no marks of
# things left undone, no blank at the end of a line.  Long files are named.
set -u
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99

mapfile -t sources < <(find fs mkfs fsck dump tests bench m4 \
	configure.ac Makefile.am ./*.sh -type f \( -name '*.[ch]' -o -name '*.sh' \
	-o -name '*.am' -o -name 'owfs*.m4' -o -name configure.ac \) \
	! -path '*/.libs/*' ! -path './config.*' | LC_ALL=C sort)
[ "${#sources[@]}" -gt 0 ] || { echo "no sources found"; exit 99; }

# The words are put together here so that this file is not its own finding.
words="T""ODO|F""IXME|X""XX|H""ACK"
bad=0
complain()
{
	[ -z "$2" ] || { echo "$1:"; printf '  %s\n' "$2"; bad=1; }
}
complain "no SPDX-License-Identifier in the first five lines" "$(
	for file in "${sources[@]}"; do
		head -n 5 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' ||
			echo "$file"
	done)"
complain "marks of things left undone" \
	"$(grep -nwE "$words" "${sources[@]}")"
complain "blanks at the end of a line" \
	"$(grep -nE '[[:blank:]]+$' "${sources[@]}")"

for file in "${sources[@]}"; do
	lines=$(wc -l < "$file")
	[ "$lines" -le 800 ] || echo "warning: $file: $lines lines, is it one idea?"
done
echo "${#sources[@]} files looked at"
exit $bad

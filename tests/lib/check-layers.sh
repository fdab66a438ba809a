#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An #include may only point downstairs.  The floors are the table of
# fs/README.md; every folder of fs/ must stand in it.  A file that its list does
# not name is told.
set -u
cd "${top_srcdir:-$(dirname "$0")/../..}/fs" || exit 99

declare -A floor
while IFS='| ' read -r _ number folder _; do
	floor[$folder]=$number
done < <(grep -E '^\| *[0-9]+ *\| *[a-z]+ *\|' README.md)
[ "${#floor[@]}" -gt 0 ] || { echo "fs/README.md: no table of floors"; exit 99; }

bad=0 seen=0
for file in */*.[ch]; do
	folder=${file%%/*}
	if [ -z "${floor[$folder]-}" ]; then
		echo "fs/$file: folder is not in the table of fs/README.md"
		bad=1
		continue
	fi
	seen=$((seen + 1))
	stem=$(basename "${file%.*}")
	grep -qF -e "\`$stem.${file##*.}\`" -e "\`$stem.[ch]\`" README.md ||
		echo "warning: fs/README.md does not name $file"
	while IFS=: read -r line target; do
		if [ -z "${floor[$target]-}" ]; then
			echo "fs/$file:$line: includes unknown floor \"$target/\""
			bad=1
		elif [ "${floor[$target]}" -gt "${floor[$folder]}" ]; then
			echo "fs/$file:$line: floor ${floor[$folder]} ($folder)" \
			     "includes floor ${floor[$target]} ($target)"
			bad=1
		fi
	done < <(sed -nE '/^[ \t]*#[ \t]*include[ \t]*"[^"]*\//{
			s/.*"(\.\.\/)*([^"\/]*)\/.*/\2/;=;p}' "$file" | paste -d: - -)
done
echo "$seen files, ${#floor[@]} floors"
[ "$seen" -gt 0 ] && exit $bad

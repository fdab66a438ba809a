#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Write what the long tier has counted into doc/testing.md, between the lines
# "totals begin" and "totals end":
#
#	totals.sh LONG_DIR DOCUMENT
#
# A row for each part that has counted anything; nothing is made up for others.
set -eu
dir=$1 document=$2

# number PART NAME: with commas; nothing if it does not count that.
number()
{
	local n

	n=$(sed -n "s/^$2=//p" "$dir/$1.totals")
	[ -z "$n" ] || sed ':a;s/\B[0-9]\{3\}\>/,&/;ta' <<< "$n"
}

# row PART WHAT RUNS
row()
{
	local runs unit=$4

	[ -e "$dir/$1.totals" ] || return 0
	runs=$(number "$1" "$3")
	[ "$runs" != 1 ] || unit=${unit%s}
	echo "| $2 | $runs${runs:+ $unit} | $(number "$1" crash_states) | $(number "$1" nested) | $(number "$1" repair_states) | $(number "$1" most_fault_points) | $(number "$1" races) | $(number "$1" violations) | $(number "$1" seconds) |"
}

{
	echo "| run | how often | crash states | of these nested | in a repair | fault points | orders checked | violations | seconds |"
	echo "|---|---|---|---|---|---|---|---|---|"
	row prove "\`c_prove\`" seeds seeds
	row recorded-programs "tar, SQLite, git, recorded" recordings recordings
	row faults "\`c_fault\`, every point of every scene" runs runs
	row iomap "\`k_prove\`, in steps of the played kernel" steps steps
	for file in "$dir"/storm*.totals; do
		[ ! -e "$file" ] || row "$(basename "$file" .totals)" \
			"\`$(basename "$file" .totals)\`" seeds seeds
	done
} > "$document.totals"
sed -i -e "/^<!-- totals begin/,/^<!-- totals end/{/^<!-- totals begin/r $document.totals
/^<!-- totals/!d}" "$document"
rm "$document.totals"

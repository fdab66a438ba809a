#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One sitting with one fuzzer, added to what all sittings came to.
#
#	sitting.sh TOTALS DOCUMENT fuzz|afl PROGRAM CORPUS SECONDS
#	sitting.sh TOTALS DOCUMENT add TARGET EXECUTIONS CPU-SECONDS FINDS
#
# TOTALS has a line for each target: its name, executions, seconds of processor
# time, finds.  The table between "fuzzing begin" and "fuzzing end" of DOCUMENT
# says the same.  What was found stays beside the corpus, and the sitting fails.
set -eu
totals=$1 document=$2 engine=$3
shift 3

# add TARGET EXECUTIONS SECONDS FINDS
add()
{
	touch "$totals"
	awk -v t="$1" -v n="$2" -v s="$3" -v f="$4" '
		$1 == t { $2 += n; $3 += s; $4 += f; seen = 1 }
		{ print }
		END { if (!seen) print t, n, s, f }' "$totals" > "$totals.new"
	mv "$totals.new" "$totals"
}

write_table()
{
	{
		echo '| target | executions | CPU time | found |'
		echo '|---|---|---|---|'
		awk 'function commas(n) {
			n = sprintf("%d", n)
			while (match(n, /^[0-9]+[0-9][0-9][0-9]/))
				n = substr(n, 1, RLENGTH - 3) "," substr(n, RLENGTH - 2)
			return n
		}
		function time(s) {
			return sprintf("%d:%02d:%02d h", s / 3600, s % 3600 / 60, s % 60)
		}
		{ print "| `" $1 "` | " commas($2) " | " time($3) " | " $4 " |"
		  n += $2; s += $3; f += $4 }
		END { print "| together | " commas(n) " | " time(s) " | " f " |" }' "$totals"
	} > "$document.table"
	sed -i -e "/^<!-- fuzzing begin/,/^<!-- fuzzing end/{/^<!-- fuzzing begin/r $document.table
/^<!-- fuzzing/!d}" "$document"
	rm "$document.table"
}

# Processor time of what has been waited for, in seconds.
used()
{
	times > "$log.times"
	awk 'NR == 2 { gsub("s", ""); split($1, u, "m"); split($2, k, "m")
		printf "%.1f\n", u[1] * 60 + u[2] + k[1] * 60 + k[2] }' "$log.times"
}

# Kept in the corpus of the target; the engine's account is its log.  Memory that
# is lost is looked for at the end alone: what goes back by call_rcu() seems lost
# after each input, which was then run once more, and searched all memory.
run_libfuzzer()
{
	"$program" -max_total_time="$seconds" -print_final_stats=1 -timeout=600 \
		-detect_leaks=0 \
		-rss_limit_mb=1500 -max_len=600 -artifact_prefix="$found/" \
		"$dir" > "$log" 2>&1 || status=$?
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	# one that ended early has no statistics
	[ -n "$executions" ] ||
		executions=$(sed -n 's/^#\([0-9]*\)[[:space:]].*/\1/p' "$log" | tail -n 1)
	finds=$(find "$found" -type f | wc -l)
}

# What all sittings of AFL++ with this corpus have come to.
afl_executions()
{
	sed -n 's/^execs_done *: *//p' "$1/default/fuzzer_stats" 2> /dev/null ||
		echo 0
}

# A process that has had 200 inputs ends by itself, and so its time is known.
run_afl()
{
	local out=$corpus/afl-$target own=${program%.afl}.so before

	[ ! -e "$own" ] ||
		export AFL_CUSTOM_MUTATOR_LIBRARY=$(realpath "$own")
	[ -n "$(ls "$dir")" ] || printf 0 > "$dir/first"
	before=$(afl_executions "$out")
	AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_AUTORESUME=1 AFL_NO_AFFINITY=1 \
	AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
		afl-fuzz -V "$seconds" -m none -t 600000 -i "$dir" -o "$out" -- \
		"$program" 200 > "$log" 2>&1 || status=$?
	executions=$(($(afl_executions "$out") - before))
	find "$out/default/crashes" "$out/default/hangs" -name 'id*' \
		-exec cp {} "$found" \;
	finds=$(find "$found" -type f | wc -l)
}

if [ "$engine" = add ]; then
	add "$@"
	write_table
	exit
fi
program=$1 corpus=$2 seconds=$3
target=$(basename "$program" ".$engine")
dir=$corpus/$target found=$corpus/found-$target log=$corpus/$target.log
status=0
mkdir -p "$dir" "$found"
rm -f "$found"/*
case $engine in
fuzz)	run_libfuzzer ;;
afl)	run_afl ;;
esac
name=$target
[ "$engine" = fuzz ] || name=$target-$engine
used > "$log.cpu"
cpu=$(cat "$log.cpu")
add "$name" "${executions:-0}" "$cpu" "$finds"
write_table
echo "$name: ${executions:-0} executions, $cpu s of processor time, $finds found"
if [ "$finds" -gt 0 ] || [ "$status" -ne 0 ]; then
	echo "see $log and $found"
	exit 1
fi

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The parts of make check-long: each is run, its totals are kept, and what the
# last sitting has done can be told at the end.
#
#	long.sh begin			forget how the parts of the last sitting ended
#	long.sh once PART COMMAND...	run it; the last line it prints is its account
#	long.sh until COUNTER GOAL PART COMMAND...
#					run it until COUNTER has grown to the next
#					multiple of GOAL
#	long.sh summary			one line a part, and one for all
#
# Totals are kept in $LONG_DIR/PART.totals, a line name=value for each number
# that the command has printed in lines that begin with "ok: ": values are added
# up, of slowest_* and most_* the largest is kept.
# A sitting that is killed goes on after the last command that ended.  A command
# finds the value of COUNTER in $LONG_DONE.
#
# With LONG_GO_ON=yes a part that fails does not fail here, but in the summary.
set -u

: "${LONG_DIR:?}"
mkdir -p "$LONG_DIR"

declare -A total

load()
{
	local name value

	[ -e "$1" ] || return 0
	while IFS='=' read -r name value; do
		total[$name]=$value
	done < "$1"
}

# Replaced whole.
save()
{
	local name

	for name in "${!total[@]}"; do
		echo "$name=${total[$name]}"
	done | LC_ALL=C sort > "$1.new" && mv "$1.new" "$1"
}

add()
{
	local name=$1 value=$2 old=${total[$1]-0}

	case $name in
	slowest_* | most_*)
			[ "$value" -le "$old" ] || total[$name]=$value ;;
	*)		total[$name]=$((old + value)) ;;
	esac
}

add_output()
{
	local word

	for word in $(sed -n 's/^ok: //p' "$1"); do
		[[ $word =~ ^([a-z_]+)=([0-9]+)$ ]] || continue
		add "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
	done
}

account()
{
	tr '\n' ' ' < "$LONG_DIR/$1.totals"
}

# result PART passed|failed|skipped [WHY]
result()
{
	echo "$2 ${3-}" > "$LONG_DIR/$1.result"
	echo "check-long: $1: $2 ${3-}"
	[ "$2" != failed ] || [ "${LONG_GO_ON-}" = yes ]
}

# run PART COMMAND...: false if it did not pass, which has been told then.
run()
{
	local part=$1 log=$LONG_DIR/$1.log status=0

	shift
	"$@" > "$log" 2>&1 < /dev/null || status=$?
	case $status in
	0)	return 0 ;;
	77)	result "$part" skipped "$(sed -n 's/^SKIP: //p' "$log" | tail -n 1)" ;;
	*)	tail -n 30 "$log"
		result "$part" failed "see $log" ;;
	esac
	ended=$?
	return 1
}

once()
{
	local part=$1

	run "$@" || return $ended
	result "$part" passed "$(grep -v '^took ' "$LONG_DIR/$part.log" | tail -n 1)"
}

until_()
{
	local counter=$1 goal=$2 part=$3 start file=$LONG_DIR/$3.totals

	shift 2
	load "$file"
	goal=$(((${total[$counter]-0} / goal + 1) * goal))
	while [ "${total[$counter]-0}" -lt "$goal" ]; do
		start=$SECONDS
		export LONG_DONE=${total[$counter]-0}
		if ! run "$@"; then
			# what it found counts, and the next sitting goes on
			add_output "$LONG_DIR/$part.log"
			save "$file"
			return $ended
		fi
		add_output "$LONG_DIR/$part.log"
		if [ "${total[$counter]-0}" -le "$LONG_DONE" ]; then
			result "$part" failed "does not say $counter=..."
			return
		fi
		add seconds $((SECONDS - start))
		save "$file"
	done
	result "$part" passed "$(account "$part")"
}

summary()
{
	local file status rest part passed=0 failed=0 skipped=0

	echo
	for file in "$LONG_DIR"/*.result; do
		[ -e "$file" ] || continue
		read -r status rest < "$file"
		part=$(basename "$file" .result)
		echo "$part: $status $rest"
		case $status in
		passed)		passed=$((passed + 1)) ;;
		skipped)	skipped=$((skipped + 1)) ;;
		*)		failed=$((failed + 1)) ;;
		esac
	done
	echo "check-long: $passed parts passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
}

case $1 in
begin)	rm -f "$LONG_DIR"/*.result ;;
once)	shift; once "$@" ;;
until)	shift; until_ "$@" ;;
summary) summary ;;
*)	exit 99 ;;
esac

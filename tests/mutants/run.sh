#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Can the tests see?  Each file NAME.mut beside this one is a defect: what it
# is, in which file, what stands there and what shall stand there instead, and
# which tests are expected to notice (by: crash, races, or unit and programs).
# Each is put into a copy of the source, built, and hunted; one that nothing
# notices means that the tests are blind in this place.
#
#	run.sh SOURCE WORK [NAME...]
#
# WORK is where they are built.  MUTANT_STATES says how many crash states are
# looked at before the search gives up (30000).  The last line is
# "mutants=N caught=N".
set -u
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
mkdir -p "$2"
work=$(cd "$2" && pwd)
shift 2
states=${MUTANT_STATES:-30000}
jobs=$(nproc)
mutants=0 caught=0 missed=()

# The fields of a mutant, and its two texts.
field()
{
	sed -n "s/^$1: //p" "$mut" | head -n 1
}

text()
{
	sed -n "/^$1\$/,/^$2\$/{/^$1\$/d;/^$2\$/d;p}" "$mut"
}

# swap FILE FROM TO: exactly one place.
swap()
{
	FROM=$2 TO=$3 perl -0777 -i -pe '
		BEGIN { $from = $ENV{FROM} . "\n"; $to = $ENV{TO};
			$to .= "\n" if length $to; }
		$n = () = /\Q$from\E/g;
		if ($n != 1) { print STDERR "stands there $n times\n"; exit 3; }
		s/\Q$from\E/$to/' "$1"
}

build()
{
	make -C "$work/build" -j"$jobs" all > "$work/make.log" 2>&1 &&
	for dir in lib crash stress unit; do
		make -C "$work/build/tests/$dir" -j"$jobs" check TESTS= \
			check_PROGRAMS="$(programs $dir)" >> "$work/make.log" 2>&1 ||
			return 1
	done
}

programs()
{
	case $1 in
	crash)	echo c_prove c_fault ;;
	stress)	echo storm storm_file storm_full ;;
	unit)	sed -n 's/^by: unit //p' "$here"/*.mut | tr ' ' '\n' |
			sort -u | tr '\n' ' ' ;;
	esac
}

# hunt COMMAND...: did it fail?  What it said last is in $said.
hunt()
{
	said=$(timeout 600 "$@" 2>&1)
	[ $? -ne 0 ]
}

hunt_crash()
{
	local seed

	for seed in 1 2; do
		if hunt ./c_prove states="$states" seed=$seed; then
			by="crash search, $(sed -n 's/.*crash_states=\([0-9]*\).*/\1/p' \
				<<< "$said" | tail -n 1) states"
			return
		fi
	done
	hunt ./c_fault && by="faults"
}

hunt_races()
{
	local storm

	for storm in storm storm_file storm_full; do
		if hunt ../stress/$storm 10 1; then
			by=$storm
			return
		fi
	done
	return 1
}

hunt_unit()
{
	local test

	for test in "$@"; do
		if hunt "../unit/$test"; then
			by=$test
			return
		fi
	done
	return 1
}

one()
{
	local name=$1 file

	mut=$here/$name.mut
	file=$work/src/$(field file)
	mutants=$((mutants + 1))
	by=nothing
	cp -p "$file" "$work/kept"
	if ! swap "$file" "$(text '<<<<' '====')" "$(text '====' '>>>>')"; then
		by="nothing: does not apply"
	elif ! build; then
		by="nothing: does not build"
		grep -m 3 error "$work/make.log"
	else
		cd "$work/build/tests/crash" || exit 99
		# shellcheck disable=SC2046
		hunt_$(field by) && caught=$((caught + 1)) || missed+=("$name")
	fi
	cp -p "$work/kept" "$file"
	touch "$file"
	printf '%-40s %-30s %s\n' "$name" "$by" "$(field what)"
}

prepare()
{
	local built skip=(--exclude=./build-check)

	for built in "$source"/*/config.status; do
		built=${built%/config.status}
		skip+=("--exclude=./${built##*/}")
	done
	# anew: what a killed run left may be one of its defects
	rm -rf "$work/src" "$work/build"
	mkdir -p "$work/src" "$work/build"
	tar -C "$source" -cf - "${skip[@]}" --exclude=.git \
		--exclude='*.o' --exclude='*.lo' --exclude=.libs \
		--exclude=Makefile --exclude=config.status . |
		tar -C "$work/src" -xf -
	cd "$work/build" || exit 99
	"$work/src/configure" -q CFLAGS='-g -O1' ${CC:+CC="$CC"} || exit 99
	build || { tail -n 20 "$work/make.log"; exit 99; }
}

prepare
if [ $# -eq 0 ]; then
	set -- $(cd "$here" && ls -- *.mut | sed 's/\.mut$//')
fi
for name; do
	one "$name"
done
[ ${#missed[@]} -eq 0 ] || echo "not caught: ${missed[*]}"
echo "mutants=$mutants caught=$caught"
[ $mutants -eq $caught ]

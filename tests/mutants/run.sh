#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Can the tests see?  Each file NAME.mut beside this one is a defect: what it
# is, in which file, what stands there and what shall stand there instead, and
# who is expected to notice, in the order in which they are asked:
#
#	by: crash		c_prove from two seeds, then c_fault
#	by: races		the storms of threads
#	by: NAME ...		programs of tests/, by name: test_buf k_golden
#
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

# Who hunts: the programs that the words of "by" stand for.
hunters()
{
	local word

	for word; do
		case $word in
		crash)	printf '%s\n' c_prove c_fault ;;
		races)	printf '%s\n' storm storm_file storm_full ;;
		*)	echo "$word" ;;
		esac
	done
}

# The folder of tests/ in which a program is made.
folder()
{
	local sources=("$work"/src/tests/*/"$1".c)

	[ -f "${sources[0]}" ] || { echo "$1: no such program" >&2; return 1; }
	basename "$(dirname "${sources[0]}")"
}

# build PROGRAM...
build()
{
	local program dir

	make -C "$work/build" -j"$jobs" all > "$work/make.log" 2>&1 &&
		make -C "$work/build/tests/lib" -j"$jobs" check TESTS= \
			>> "$work/make.log" 2>&1 || return 1
	for program; do
		dir=$(folder "$program") || return 1
		make -C "$work/build/tests/$dir" -j"$jobs" check TESTS= \
			check_PROGRAMS="$program" >> "$work/make.log" 2>&1 ||
			return 1
	done
}

# hunt COMMAND...: did it fail?  What it said is in $said.  What hangs has
# failed, too.
hunt()
{
	! said=$(top_srcdir=$work/src top_builddir=$work/build \
		timeout "${limit:-600}" "$@" 2>&1)
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

hunt_one()
{
	local dir limit=180

	dir=$(folder "$1") || return 1
	case $1 in
	k_prove)	hunt "../$dir/$1" 6000 ;;
	*)		hunt "../$dir/$1" ;;
	esac && by=$1
}

hunt_by()
{
	local word

	for word; do
		case $word in
		crash | races)	"hunt_$word" ;;
		*)		hunt_one "$word" ;;
		esac && return
	done
	return 1
}

one()
{
	local name=$1 file words programs

	mut=$here/$name.mut
	read -ra words <<< "$(field by)"
	mapfile -t programs < <(hunters "${words[@]}")
	file=$work/src/$(field file)
	mutants=$((mutants + 1))
	by=nothing
	cp -p "$file" "$work/kept"
	if ! swap "$file" "$(text '<<<<' '====')" "$(text '====' '>>>>')"; then
		by="nothing: does not apply"
	elif ! build "${programs[@]}"; then
		by="nothing: does not build"
		grep -m 3 error "$work/make.log"
	else
		cd "$work/build/tests/crash" || exit 99
		hunt_by "${words[@]}" && caught=$((caught + 1))
	fi
	[[ $by != nothing* ]] || missed+=("$name")
	cp -p "$work/kept" "$file"
	touch "$file"
	printf '%-40s %-30s %s\n' "$name" "$by" "$(field what)"
}

prepare()
{
	local built skip=(--exclude=./build-check)

	for built in "$source"/*/config.status; do
		[ -f "$built" ] || continue
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
}

# What fails without any defect cannot tell that it has met one.
sound()
{
	local name program programs

	mapfile -t programs < <(for name; do
			mut=$here/$name.mut
			field by
		done | tr ' ' '\n' | grep -vxE 'crash|races' | sort -u)
	build "${programs[@]}" || { tail -n 20 "$work/make.log"; exit 99; }
	cd "$work/build/tests/crash" || exit 99
	for program in "${programs[@]}"; do
		hunt_one "$program" || continue
		echo "$program fails without a defect: $said"
		exit 99
	done
}

if [ $# -eq 0 ]; then
	set -- $(cd "$here" && ls -- *.mut | sed 's/\.mut$//')
fi
prepare
sound "$@"
for name; do
	one "$name"
done
[ ${#missed[@]} -eq 0 ] || echo "not caught: ${missed[*]}"
echo "mutants=$mutants caught=$caught"
[ $mutants -eq $caught ]

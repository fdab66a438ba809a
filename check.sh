#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Everything that must hold before a change goes in: make check, the mount
# tests, and the same tests once more under the sanitizers, in builds of their
# own under build-check/.  Fifteen minutes on two processors are the limit, and
# what did not come to its turn has failed.
#
#	./check.sh [PHASE...]		all phases, or those named
#	OWFS_CHECK_SECONDS=N		another limit
#
# The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")" || exit 1

top=$PWD
out=$top/build-check
limit=${OWFS_CHECK_SECONDS:-900}
jobs=$(nproc)
export TEST_TIMEOUT=${TEST_TIMEOUT:-$((limit / 2))}
wrap=()
passed=0 failed=0 skips=() failures=()

say()
{
	printf '%4d s  %s\n' "$SECONDS" "$*"
}

fail()
{
	failed=$((failed + 1))
	failures+=("$*")
	say "FAILED: $*"
}

# step LOG COMMAND...: run it within what is left of the time.
step()
{
	local log=$1 left=$((limit - SECONDS))

	shift
	[ $left -gt 0 ] || { echo "no time left" > "$log"; return 1; }
	timeout --kill-after=60 $left "${wrap[@]}" "$@" > "$log" 2>&1 < /dev/null
}

# build NAME CONFIGURE-OPTION...
build()
{
	local dir=$out/$1

	shift
	mkdir -p "$dir"
	if ! [ -x configure ] && ! step "$dir/autogen.log" ./autogen.sh; then
		tail -n 20 "$dir/autogen.log"
		return 1
	fi
	if [ "$*" != "$(cat "$dir/options" 2>/dev/null)" ]; then
		if ! (cd "$dir" && step configure.log "$top/configure" -q "$@"); then
			tail -n 20 "$dir/configure.log"
			return 1
		fi
		echo "$*" > "$dir/options"
	fi
	if ! step "$dir/make.log" make -C "$dir" -j"$jobs"; then
		grep -E 'error|Error|warning|no time' "$dir/make.log" | head -n 20
		return 1
	fi
}

# Add up what the harness left in the .trs files below DIR: one line a test.
count()
{
	local name=$1 dir=$2 trs test ok=0 bad=0

	while read -r trs; do
		test=$name:${trs#"$dir"/}
		test=${test%.trs}
		case $(sed -n 's/^:test-result: *//p' "$trs") in
		PASS*)	ok=$((ok + 1)) ;;
		SKIP*)	skips+=("$test: $(sed -n 's/^SKIP: //p' "${trs%.trs}.log")") ;;
		*)	bad=$((bad + 1))
			fail "$test"
			tail -n 15 "${trs%.trs}.log" | sed 's/^/        /' ;;
		esac
	done < <(find "$dir" -name '*.trs' | LC_ALL=C sort)
	passed=$((passed + ok))
	say "$name: $ok passed, $bad failed"
	[ $((ok + bad)) -gt 0 ]
}

# run NAME DIR MAKE-WORDS...: a make that runs tests, and its results.
run()
{
	local name=$1 dir=$2 before=$failed status=0

	shift 2
	find "$dir" -name '*.trs' -delete
	step "$dir/$name.log" make -k -j"$jobs" -C "$dir" "$@" || status=$?
	if ! count "$name" "$dir"; then
		fail "$name: no test was run"
		tail -n 20 "$dir/$name.log"
	elif [ $status -eq 124 ]; then
		fail "$name: no time left, not all tests were run"
	elif [ $status -ne 0 ] && [ $failed -eq $before ]; then
		fail "$name: make ended with status $status"
		tail -n 20 "$dir/$name.log"
	fi
}

phase_plain()
{
	build plain --enable-werror || { fail "plain: does not build"; return; }
	run check "$out/plain" check
	run mount "$out/plain/tests/mount" check-mount
}

# prove PHASE MAKE-WORDS...: a search in the plain build; its last line counts.
prove()
{
	local name=$1 log=$out/$1.log

	shift
	if step "$log" make -C "$out/plain" "$@"; then
		passed=$((passed + 1))
	else
		fail "$name"
		grep -h -m 10 -E 'VIOLATION|replay|FAIL|no time' "$log"
	fi
	say "$name: $(grep -h 'violations=' "$log" | tail -n 1)"
}

phase_prove()
{
	prove prove prove STATES=50000
	prove prove-iomap prove-iomap STEPS=30000
}

# What a newcomer does first must not be what breaks unseen.
phase_quickstart()
{
	if [ "$(id -u)" -ne 0 ] || ! [ -c /dev/fuse ]; then
		skips+=("quickstart: needs root and /dev/fuse")
	elif OWFS_BUILD_DIR=$out/plain step "$out/quickstart.log" ./quickstart.sh
	then
		passed=$((passed + 1))
		say "quickstart: passed"
	else
		fail "quickstart"
		tail -n 20 "$out/quickstart.log"
	fi
}

phase_asan()
{
	export ASAN_OPTIONS=${ASAN_OPTIONS-abort_on_error=0}
	export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}
	build asan --enable-asan --enable-ubsan CFLAGS='-g -O1' ||
		{ fail "asan: does not build"; return; }
	run asan "$out/asan" check
}

phase_tsan()
{
	export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1}
	build tsan --enable-tsan CFLAGS='-g -O1' ||
		{ fail "tsan: does not build"; return; }
	# It wants its shadow where a randomised layout may put others.  What has
	# one thread has nothing to show here: the crash search, and repairs.
	setarch -R true 2>/dev/null && wrap=(setarch -R)
	export TEST_LEAVE_OUT='test_repair* test_salvage test_full test_full_ops'
	run tsan "$out/tsan/tests" check SUBDIRS='lib unit stress'
	unset TEST_LEAVE_OUT
	wrap=()
}

# A fuzzer needs what not every clang comes with.
has_libfuzzer()
{
	echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n)
		{ return p != 0 && n > 99; }' |
		clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
}

# Two seconds with each, in the build that is there.
fuzz_shortly()
{
	local dir=$out/clang log=$out/clang/fuzz.log

	echo '<!-- fuzzing begin -->' > "$dir/fuzz.md"
	rm -f "$dir/fuzz.totals"
	if step "$log" make -C "$dir/tests/lib" check &&
	   step "$log" make -C "$dir/tests/iomap" libkmodel.la &&
	   step "$log" make -C "$dir/tests/fuzz" fuzz FUZZ_SECONDS=2 \
		FUZZ_TOTALS="$dir/fuzz.totals" FUZZ_DOCUMENT="$dir/fuzz.md"; then
		passed=$((passed + 1))
	else
		fail "fuzz"
		tail -n 20 "$log"
	fi
	say "fuzz: $(grep -h -c executions "$log") targets"
}

phase_clang()
{
	local cflags='-g -O1' fuzz=no

	if ! command -v clang >/dev/null; then
		skips+=("clang: is not installed")
		return
	fi
	if has_libfuzzer; then
		fuzz=yes
		cflags+=' -fsanitize=fuzzer-no-link,address,undefined'
		cflags+=' -fno-sanitize-recover=undefined'
	else
		skips+=("fuzz: this clang has no libFuzzer")
	fi
	build clang --enable-werror CC=clang CFLAGS="$cflags" ||
		{ fail "clang: does not build without a warning"; return; }
	[ $fuzz = no ] || fuzz_shortly
}

finish()
{
	echo
	[ ${#skips[@]} -eq 0 ] || printf 'skipped: %s\n' "${skips[@]}"
	[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

./deps.sh build test || exit 1
./deps.sh programs || skips+=("some programs: cannot be installed")
[ $# -gt 0 ] || set -- plain prove quickstart asan tsan clang
for phase; do
	say "phase $phase"
	"phase_$phase"
done
finish

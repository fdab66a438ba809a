#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What real programs did to a mount, recorded under the server, and then cut by
# c_recorded at every flush: an unpacked tree, a database with transactions, a
# repository with commits and a garbage collection.  After every cut all is sound
# and what was promised is there; of a sample the image is mounted and the
# program itself asked.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_root
t_require_fuse

# For each of the three programs.
states=${RECORDED_STATES-150}
images=${RECORDED_IMAGES-4}
seed=${RECORDED_SEED-$((${LONG_DONE-0} + 1))}
RECORDED=$top_builddir/tests/crash/c_recorded
RECORDING=$top_builddir/tests/mount/recording-owfs-fuse
PLAIN=$OWFS_FUSE
crash_states=0 looked=0 recordings=0
if ! [ -x "$RECORDED" ]; then
	make -C "$top_builddir/tests/crash" c_recorded > /dev/null ||
		t_fail "$RECORDED cannot be built"
fi

# begin WHAT: an empty filesystem, recorded from now on.
begin()
{
	t_image 96M
	cp --sparse=always "$IMG" "$T/base"
	: > "$T/marks"
	OWFS_FUSE=$RECORDING
	export OWFS_RECORD=$T/log
	t_mount
	work=$MNT/work
	mkdir "$work"
}

# mark WORD...: what was done by now is promised.
mark()
{
	"$RECORDED" mark "$T/log" "$@" >> "$T/marks"
}

# What was recorded outlives the test, so that the state can be looked at again.
keep_recording()
{
	rm -rf "$1"
	mkdir -p "$1"
	cp --sparse=always "$T/base" "$T/log" "$1"
	[ ! -d "$T/source" ] || cp -r "$T/source" "$1"
	sed "s# $T/source/# $1/source/#" "$T/marks" > "$1/marks"
}

# cut WHAT: unmount, and judge the states.
cut()
{
	local line keep

	t_umount
	OWFS_FUSE=$PLAIN
	unset OWFS_RECORD
	rm -rf "$T/images"
	mkdir "$T/images"
	if ! line=$("$RECORDED" "$T/base" "$T/log" "$T/marks" states="$states" \
			images="$images" seed="$seed" dir="$T/images" 2> "$T/err"); then
		keep=$top_builddir/tests/mount/recorded-$1
		keep_recording "$keep"
		sed "s#BASE LOG MARKS#$keep/base $keep/log $keep/marks#" "$T/err"
		t_fail "$1: $line"
	fi
	line=${line##*$'\n'}
	echo "$1: ${line#ok: }"
	recordings=$((recordings + 1))
	crash_states=$((crash_states + $(sed 's/.*crash_states=\([0-9]*\).*/\1/' <<< "$line")))
}

# look WHAT: mount each image and call look_WHAT with the mark.
look()
{
	local mark

	for mark in "$T"/images/*.mark; do
		DEV=${mark%.mark}.img
		t_mount
		work=$MNT/work
		look_"$1" "$(cat "$mark")"
		t_umount
		t_fsck -f
		rm "$DEV"
		looked=$((looked + 1))
	done
}

# --- a tree ---------------------------------------------------------------

unpack()
{
	local part file

	begin
	mkdir "$T/source"
	(cd "$top_srcdir" && tar cf - --exclude='*.o' --exclude=Makefile.in \
		fs fsck mkfs dump man doc tests/crash tests/unit) |
		tar xf - -C "$T/source"
	for part in fs fsck mkfs dump man doc tests; do
		tar cf - -C "$T/source" "$part" | tar xf - -C "$work"
		# some by themselves, then all of the part
		for file in $(cd "$T/source" && find "$part" -type f | shuf -n 3 --random-source="$0"); do
			sync "$work/$file"
			mark file "$T/source/$file" "work/$file"
		done
		sync -f "$work"
		for file in $(cd "$T/source" && find "$part" -type f); do
			echo "$T/source/$file work/$file"
		done > "$T/part"
		sed "s/^/$("$RECORDED" mark "$T/log" file) /" "$T/part" >> "$T/marks"
		mark "part $part"
	done
	[ "$(grep -c ' file ' "$T/marks")" -gt 200 ] ||
		t_fail "the tree has only $(grep -c ' file ' "$T/marks") files"
	cut unpack
}

look_unpack()
{
	local part

	for part in fs fsck mkfs dump man doc tests; do
		[ "$1" != none ] || break
		diff -r "$T/source/$part" "$work/$part" ||
			t_fail "$part was promised, and differs"
		[ "part $part" != "$1" ] || break
	done
}

# --- a database -----------------------------------------------------------

transactions()
{
	local n

	echo "PRAGMA journal_mode=$1; PRAGMA synchronous=EXTRA; PRAGMA wal_autocheckpoint=20;"
	echo "CREATE TABLE IF NOT EXISTS done (n INTEGER, text TEXT); CREATE INDEX IF NOT EXISTS done_n ON done (n, text);"
	for ((n = $2; n < $3; n++)); do
		echo "BEGIN IMMEDIATE; INSERT INTO done VALUES ($n, hex(randomblob(700)));
			INSERT INTO done VALUES ($n, hex(randomblob(100)));
			DELETE FROM done WHERE n < $n - 20; COMMIT; SELECT 'done', $n;"
	done
}

database()
{
	local mode n=1 line

	begin
	for mode in DELETE WAL TRUNCATE; do
		while read -r line; do
			case $line in
			done*)	mark "done ${line#done|}" ;;
			esac
		done < <(transactions $mode $n $((n + 15)) |
			stdbuf -oL sqlite3 -bail -batch "$work/db" || echo failed)
		n=$((n + 15))
	done
	grep -q "done $((n - 1))" "$T/marks" || t_fail "the last transaction was not answered"
	cut database
}

look_database()
{
	local last

	[ -e "$work/db" ] || { [ "$1" = none ] || t_fail "no database; $1"; return 0; }
	t_same "integrity" "$(sqlite3 "$work/db" 'PRAGMA integrity_check;' 2>&1)" ok
	[ "$1" != none ] || return 0
	last=$(sqlite3 "$work/db" 'SELECT ifnull(max(n), 0) FROM done;')
	[ "$last" -ge "${1#done }" ] || t_fail "$1 was answered, the last is $last"
	t_same "halves" "$(sqlite3 "$work/db" \
		'SELECT n FROM done GROUP BY n HAVING count(*) <> 2;')" ""
}

# --- a repository ---------------------------------------------------------

in_repo()
{
	git -c safe.directory='*' -C "$work/repo" -c user.name=t -c user.email=t@example.org \
		-c core.fsync=all -c core.fsyncMethod=fsync -c gc.auto=0 "$@"
}

# git syncs its files, not its directories: a promise needs one of ours.
promise_head()
{
	sync -f "$work"
	mark "head $(in_repo rev-parse HEAD)"
}

repository()
{
	local i

	begin
	export GIT_CONFIG_NOSYSTEM=1 HOME=$T
	mkdir "$work/repo"
	in_repo -c init.defaultBranch=main init -q
	for i in 1 2 3 4 5 6; do
		cp "$top_srcdir"/fs/*/[a-"$(tr 1-6 b-g <<< "$i")"]*.c "$work/repo"
		echo "$i" >> "$work/repo/log"
		in_repo add .
		in_repo commit -q -m "commit $i"
		promise_head
		[ $((i % 3)) -ne 0 ] || { in_repo gc -q --prune=now; promise_head; }
	done
	cut repository
}

look_repository()
{
	[ "$1" != none ] || return 0
	in_repo fsck --full --no-dangling > "$T/git" 2>&1 ||
		t_fail "git fsck; $1: $(cat "$T/git")"
	in_repo merge-base --is-ancestor "${1#head }" HEAD ||
		t_fail "$1 was promised, HEAD is $(in_repo rev-parse HEAD)"
}

# --- all of it ------------------------------------------------------------

unpack
look unpack
if command -v sqlite3 stdbuf > /dev/null; then
	database
	look database
fi
if command -v git > /dev/null; then
	repository
	look repository
fi
echo "ok: recordings=$recordings crash_states=$crash_states images=$looked violations=0"

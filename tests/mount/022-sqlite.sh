#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SQLite in three journal modes, while the server or the program is killed
# in the middle of transactions: the database is whole, every transaction is
# there or not, and those that were answered are.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_cmd sqlite3 stdbuf

rounds=${ROUNDS-2}
accounts=200
total=0
t_image 256M
D=$MNT/d	# not there when nothing is mounted

create()
{
	sqlite3 "$D/db" > /dev/null <<-EOF
	PRAGMA journal_mode=$1;
	CREATE TABLE account (id INTEGER PRIMARY KEY, value INTEGER);
	CREATE TABLE done (n INTEGER, part INTEGER, text TEXT);
	CREATE INDEX done_n ON done (n, text);
	WITH RECURSIVE i(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM i WHERE x < $accounts)
	INSERT INTO account SELECT x, 1000 FROM i;
	EOF
}

# Transactions without an end, which move money and leave a note in parts.
# transactions MODE FIRST
transactions()
{
	local n=$2

	# first: a reader may be at the recovery that follows a kill
	echo "PRAGMA busy_timeout=10000;"
	# only WAL is remembered by the database
	echo "PRAGMA journal_mode=$1;"
	# without EXTRA it does not wait until its journal is gone
	echo "PRAGMA synchronous=EXTRA; PRAGMA wal_autocheckpoint=50;"
	while echo "BEGIN IMMEDIATE;
		UPDATE account SET value = value - 7 WHERE id = $((RANDOM % accounts + 1));
		INSERT INTO done VALUES ($n, 1, hex(randomblob(400)));
		UPDATE account SET value = value + 7 WHERE id = $((RANDOM % accounts + 1));
		INSERT INTO done VALUES ($n, 2, hex(randomblob(900)));
		DELETE FROM done WHERE n < $n - 300;
		COMMIT; SELECT 'done', $n;"
	do
		n=$((n + 1))
	done 2> /dev/null
}

writer()
{
	transactions "$1" "$2" | stdbuf -oL sqlite3 -bail -batch "$D/db" > "$T/log" 2> "$T/err" || true
}

# Somebody who reads meanwhile never sees money lost or made.
reader()
{
	local sum

	while [ -e "$T/go" ] &&
	      sum=$(sqlite3 -cmd '.timeout 10000' "$D/db" \
			'SELECT sum(value) FROM account;' 2> "$T/err-reader"); do
		[ "$sum" -eq $((accounts * 1000)) ] || { echo "$sum" > "$T/wrong"; return 1; }
	done
}

last_answered()
{
	awk -F'|' '$1 == "done" { n = $2 } END { print n + 0 }' "$T/log"
}

check()
{
	local what=$1 answered=$2

	[ ! -e "$T/wrong" ] || t_fail "$what: a reader saw the sum $(cat "$T/wrong")"
	t_same "$what: integrity" "$(sqlite3 "$D/db" 'PRAGMA integrity_check;' 2>&1)" ok
	t_same "$what: sum" "$(sqlite3 "$D/db" 'SELECT sum(value) FROM account;')" $((accounts * 1000))
	t_same "$what: halves" "$(sqlite3 "$D/db" \
		'SELECT n FROM done GROUP BY n HAVING count(*) <> 2;')" ""
	n=$(sqlite3 "$D/db" 'SELECT ifnull(max(n), 0) FROM done;')
	[ "$n" -ge "$answered" ] ||
		t_fail "$what: transaction $answered was answered, the last one is $n"
}

has_begun()
{
	grep -q done "$T/log"
}

# one_round MODE VICTIM
one_round()
{
	local pids answered sqlite

	: > "$T/log"
	: > "$T/go"
	writer "$1" $((n + 1)) 2> /dev/null &
	pids=$!
	reader &
	pids+=" $!"
	t_wait_until has_begun || { cat "$T/err"; t_fail "$1: nothing is written"; }
	sleep "0.$((1 + RANDOM % 5))"
	case $2 in
	server)	t_kill_server ;;
	client)	sqlite=$(pgrep -f "^sqlite3 .*$D/db" | tr '\n' ' ' || true)
		# shellcheck disable=SC2086
		kill -KILL $sqlite 2>/dev/null || true ;;
	esac
	rm "$T/go"
	# shellcheck disable=SC2086
	wait $pids || true
	answered=$(last_answered)
	[ "$answered" -gt 0 ] || t_fail "$1: no transaction was answered"
	# If it cannot open the directory to sync the removal of its journal, as
	# after a kill just then, SQLite says that the transaction is done.
	if [ "$1 $2" = "DELETE server" ]; then
		answered=$((answered - 1))
	fi
	[ "$2" = client ] || t_mount
	check "$1, $2 killed" "$answered"
	total=$((total + answered - before))
	before=$n
}

for mode in WAL DELETE TRUNCATE; do
	t_mount -o commit=1
	mkdir "$D"
	create $mode
	n=0 before=0
	for _ in $(seq "$rounds"); do
		one_round $mode server
		one_round $mode client
	done
	t_remount
	check "$mode, after a remount" 0
	rm -r "$D"
	t_umount
	t_fsck
done
t_ok "rounds=$((rounds * 6)) transactions=$total"

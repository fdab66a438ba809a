#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PostgreSQL under pgbench, while its processes or the server of the filesystem
# are killed: it recovers, every transaction that was answered is there, the
# accounts agree, the indexes fit and no page has a wrong checksum.
#
#	ROUNDS=N	kills of each kind
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_root
t_require_cmd setpriv

bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1) ||
	t_skip "needs postgresql"
[ -x "$bin/initdb" ] && [ -x "$bin/pgbench" ] || t_skip "needs postgresql"
user=$(id -u postgres 2>/dev/null || echo 65534)

rounds=${ROUNDS-1}
D=$MNT/pg
notes=0
chmod 755 "$T"
mkdir "$T/run"
chown "$user" "$T/run"

as()
{
	setpriv --reuid="$user" --regid="$user" --clear-groups \
		env -i PATH="$bin:$PATH" LC_ALL=C HOME="$T/run" PGHOST="$T/run" \
		PGUSER=postgres PGDATABASE=postgres "$@"
}

# Run it as the user; its output is only shown if it fails.
run()
{
	as "$@" > "$T/out" 2>&1 ||
		{ tail -n 20 "$T/out" "$T/run/log"; t_fail "$*"; }
}

sql()
{
	as psql -XqAt -v ON_ERROR_STOP=1 -c "$1"
}

# A killed process that has not been waited for is a zombie.
are_gone()
{
	local pid state

	for pid in $pids; do
		state=$(awk '/^State/ { print $2 }' "/proc/$pid/status" 2>/dev/null) || continue
		[ "$state" = Z ] || return 1
	done
}

# All its processes at once, as a crash of the machine would.
kill_postgres()
{
	local main

	main=$(head -n 1 "$T/run/pid" 2>/dev/null) || return 0
	pids="$main $(pgrep -P "$main" | tr "\n" " " || true)"
	# shellcheck disable=SC2086
	kill -KILL $pids 2>/dev/null || true
	rm "$T/run/pid"
	t_wait_until are_gone || t_fail "postgres cannot be killed"
}
t_at_exit=kill_postgres

start()
{
	run pg_ctl start -w -t 60 -D "$D/data" -l "$T/run/log"
	head -n 1 "$D/data/postmaster.pid" > "$T/run/pid"
}

stop()
{
	run pg_ctl stop -w -t 60 -m fast -D "$D/data"
	rm "$T/run/pid"
}

# One note after the other; psql prints what was answered.
take_notes()
{
	local i=$1

	while echo "INSERT INTO notes VALUES ($i, repeat('note', $((i % 500)))) RETURNING n;"
	do
		i=$((i + 1))
	done 2> /dev/null | as psql -XqAt -v ON_ERROR_STOP=1 > "$T/log" 2> "$T/err"
}

check()
{
	local what=$1 last

	t_same "$what: accounts" "$(sql 'SELECT
		(SELECT sum(abalance) FROM pgbench_accounts) =
		(SELECT sum(tbalance) FROM pgbench_tellers) AND
		(SELECT sum(tbalance) FROM pgbench_tellers) =
		(SELECT sum(bbalance) FROM pgbench_branches) AND
		(SELECT sum(bbalance) FROM pgbench_branches) =
		(SELECT coalesce(sum(delta), 0) FROM pgbench_history);')" t
	last=$(tail -n 1 "$T/log")
	notes=$(sql 'SELECT max(n) FROM notes;')
	[ "$notes" -ge "${last:-0}" ] ||
		t_fail "$what: note $last was answered, the last one is $notes"
	t_same "$what: notes" "$(sql 'SELECT count(*) FROM notes;')" $((notes + 1))
	run pg_amcheck --install-missing --heapallindexed
}

has_begun()
{
	[ "$(wc -l < "$T/log")" -gt 10 ]
}

one_round()
{
	local what=$1 jobs

	: > "$T/log"
	take_notes $((notes + 1)) &
	jobs=$!
	as pgbench -n -c 3 -T 60 > "$T/bench" 2>&1 &
	jobs+=" $!"
	t_wait_until has_begun || { cat "$T/err"; t_fail "$what: nothing is written"; }
	sleep "0.$((3 + RANDOM % 6))"
	case $what in
	server*)	t_kill_server; kill_postgres ;;
	postgres*)	kill_postgres ;;
	esac
	# shellcheck disable=SC2086
	wait $jobs || true
	case $what in
	server*)	t_mount -o commit=1 ;;
	esac
	# or a zombie keeps the place
	rm -f "$D/data/postmaster.pid" "$T/run"/.s.*
	start
	check "$what"
}

t_image 1G
t_mount -o commit=1
mkdir "$D"
chown "$user" "$D"
run initdb -D "$D/data" -k -A trust -U postgres --locale=C -E UTF8
cat >> "$D/data/postgresql.conf" <<EOF
listen_addresses = ''
unix_socket_directories = '$T/run'
shared_buffers = 8MB
max_wal_size = 64MB
min_wal_size = 32MB
checkpoint_timeout = 30s
wal_compression = off
EOF
start
run pgbench -i -q -s "${PGBENCH_SCALE-2}"
sql 'CREATE TABLE notes (n INTEGER PRIMARY KEY, t TEXT); INSERT INTO notes VALUES (0);'
for round in $(seq "$rounds"); do
	one_round "server $round"
	one_round "postgres $round"
done
stop
run pg_checksums --check -D "$D/data"
t_remount
run pg_checksums --check -D "$D/data"
start
check "after a remount"
stop
t_umount
t_fsck
t_ok "kills=$((rounds * 2)) notes=$notes"

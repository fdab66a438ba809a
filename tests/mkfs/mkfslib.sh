# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of mkfs share, on top of testlib.sh.

# m_refuses REGEX ARGUMENT...: exit status 1, one line that matches, no output.
m_refuses()
{
	local regex=$1 status=0

	shift
	"$MKFS" "$@" > "$T/out" 2> "$T/err" || status=$?
	t_same "exit status of mkfs.owfs $*" $status 1
	t_same "lines of output of mkfs.owfs $*" "$(wc -l < "$T/out")" 0
	if [ "$(wc -l < "$T/err")" -ne 1 ] || ! grep -qE -- "$regex" "$T/err"; then
		cat "$T/err"
		t_fail "mkfs.owfs $*: not one line that matches: $regex"
	fi
}

# The same, and FILE is afterwards as it was before.
m_refuses_untouched()
{
	local file=$1 before

	shift
	before=$(cksum < "$file"; stat -c '%s %b' "$file")
	m_refuses "$@"
	t_same "$file" "$(cksum < "$file"; stat -c '%s %b' "$file")" "$before"
}

# Everything libblkid finds on FILE, one word each.
m_signatures()
{
	wipefs --noheadings --output TYPE "$1"
}

# A DOS partition table with one partition, without any tool.
m_dos_table()
{
	printf '\200\0\0\0\203\0\0\0\0\010\0\0\0\100\0\0' |
		dd of="$1" bs=1 seek=446 conv=notrunc status=none
	printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

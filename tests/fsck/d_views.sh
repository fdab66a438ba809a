#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# owfs-dump shows each of its views as text and as JSON, and says what it
# cannot show.
. "${top_srcdir:?}/tests/lib/testlib.sh"

t_image 64M -L 'a "label"'
json()
{
	if command -v python3 > /dev/null; then
		python3 -c 'import json, sys; json.load(sys.stdin)' ||
			t_fail "no JSON: $*"
	else
		cat > /dev/null
	fi
}
for view in superblock slots tree groups map 'inode 1' 'inode 2' 'path /' \
	'extents 1'; do
	# shellcheck disable=SC2086
	t_expect 0 "$DUMP" "$IMG" $view
	# shellcheck disable=SC2086
	"$DUMP" --json "$IMG" $view | json $view
	# shellcheck disable=SC2086
	"$DUMP" "$IMG" $view --json | json $view
done
t_expect 0 "$DUMP" "$IMG"
t_expect_out 'label: "a \\"label\\""' "$DUMP" "$IMG"
t_expect_out 'item=inode .*mode=040755 nlink=2' "$DUMP" "$IMG" tree

t_expect 1 "$DUMP"
t_expect 1 "$DUMP" "$IMG" nonsense
t_expect 1 "$DUMP" --nonsense "$IMG"
t_expect 1 "$DUMP" "$IMG" inode
t_expect 1 "$DUMP" "$IMG" inode x
t_expect 1 "$DUMP" "$IMG" inode 99
t_expect_out '-o needs a value' "$DUMP" -o
t_expect_out 'neither a block device nor an image file; .*findmnt' "$DUMP" "$T"
as_other()
{
	setpriv --bounding-set=-all --inh-caps=-all --reuid=65534 \
		--clear-groups "$@"
}
chmod 755 "$T"
chmod 600 "$IMG"
if [ "$(id -u)" -eq 0 ] && as_other test -x "$DUMP"; then
	for program in "$DUMP" "$FSCK -n" "$FSCK" "$MKFS -f"; do
		# shellcheck disable=SC2086
		t_expect_out 'Permission denied; it takes root, or the right to read' \
			as_other $program "$IMG"
	done
fi
t_expect 1 "$DUMP" "$IMG" superblock 1
t_expect 1 "$DUMP" "$IMG" path /none
t_expect 1 "$DUMP" --before "$IMG"
t_expect 1 "$DUMP" "$T/none"
truncate -s 1M "$T/zero"
t_expect_out 'holds no owfs' "$DUMP" "$T/zero"
t_expect 0 "$DUMP" -V
t_expect 0 "$DUMP" --help

# what a superblock says of a device that is not there takes no time
"$MKFS" -q "$T/huge" 1P
truncate -s 16M "$T/huge"
t_expect_out 'the device ends at block 4096' timeout 20 "$DUMP" "$T/huge" groups
rm "$T/huge"

# names are shown, not obeyed: ESC, and the second ESC [ that UTF-8 has
"$top_builddir/tests/fsck/owfs-edit" "$IMG" \
	$'insert xattr / hash:user.a namelen=11 \'user.\e\xc2\x9b2\xc3\xb6'
"$DUMP" "$IMG" tree > "$T/out"
grep -qF 'name="user.\x1b\xc2\x9b2'$'\xc3\xb6"' "$T/out" ||
	t_fail "$(grep 'item=xattr' "$T/out" | cat -v)"
"$DUMP" --json "$IMG" tree > "$T/out"
grep -qF '"name": "user.\u001b\u009b2'$'\xc3\xb6"' "$T/out" ||
	t_fail "$(grep xattr "$T/out" | cat -v)"

# a bad node is an error, in valid JSON
addr=$("$DUMP" "$IMG" | sed -n 's/^    tree: addr=\([0-9]*\).*/\1/p' | head -n 1)
printf '\377' | dd of="$IMG" bs=1 seek=$((addr * 4096 + 70)) conv=notrunc status=none
t_expect 1 "$DUMP" "$IMG" tree
t_expect_out 'unreadable: ' "$DUMP" "$IMG" tree
{ "$DUMP" --json "$IMG" tree 2> /dev/null || true; } | json damaged
t_ok "all views"

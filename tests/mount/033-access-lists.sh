#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Access control lists, umask, set-gid directories and extended attributes: the
# same commands on owfs and on the kernel's ext4 leave the same answers, modes,
# lists and attributes, and a remount shows the same.
#
# Every scene is a function that runs in a directory of its own, once on either.
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_loop
t_require_cmd mkfs.ext4 setfacl getfacl setfattr getfattr setpriv tar
grep -qw ext4 /proc/filesystems || modprobe ext4 2>/dev/null || t_skip "needs ext4"

# --- What the scenes are made of -------------------------------------------

as()		# USER GROUPS COMMAND...: the first group is his own
{
	local user=$1 groups=$2

	shift 2
	case $groups in
	*,*)	setpriv --reuid="$user" --regid="${groups%%,*}" --groups="$groups" "$@" ;;
	*)	setpriv --reuid="$user" --regid="$groups" --clear-groups "$@" ;;
	esac
}

# What a command says and how it ends, but for where.
try()
{
	local said status=0

	said=$("$@" 2>&1) || status=$?
	printf '$ %s\n' "${*//$T/}"
	[ -z "$said" ] || printf '%s\n' "${said//$PWD/HERE}"
	[ $status -eq 0 ] || echo "[$status]"
}

# Everything that the scenes are about, of the tree from here on.
show()
{
	find . -mindepth 1 -printf '%p %y %m %U:%G\n' | LC_ALL=C sort
	find . -mindepth 1 \( -type b -o -type c \) -print0 | LC_ALL=C sort -z |
		xargs -0 -r stat -c '%n %t,%T'
	find . -mindepth 1 ! -type l -print0 | LC_ALL=C sort -z |
		xargs -0 -r getfacl -nE --
	find . -mindepth 1 -print0 | LC_ALL=C sort -z |
		xargs -0 -r getfattr -h -m - -d -e hex --
}

umasked()	# UMASK COMMAND...
(
	umask "$1"
	shift
	"$@"
)

ctime_moves()	# FILE COMMAND...: does it?
{
	local before file=$1

	shift
	before=$(stat -c %.9Z "$file")
	"$@" || echo "[$?]"
	if [ "$(stat -c %.9Z "$file")" = "$before" ]; then
		echo "$* : ctime stays"
	else
		echo "$* : ctime moves"
	fi
}

# --- The scenes ------------------------------------------------------------

lists_are_set_and_removed()
{
	touch f g h
	mkdir d
	try setfacl -m u:1000:rwx,g:7:r f
	try setfacl -m m::rx f
	try setfacl -x u:1000 f
	try setfacl -b g
	try setfacl -n -m u:5:rwx g
	try setfacl --set u::rw,g::r,o::- h
	try setfacl --set u::rw,g::r,m::rw,o::- h
	try setfacl -b h
	try setfacl -d -m u:1000:rwx,m::rwx d
	try setfacl -m d:g:8:rx,u:9:x d
	try setfacl -d -m u:1:r f
	show
	try setfacl -k d
	try setfacl -b f g h d
	show
}

malformed_lists_are_refused()
{
	local list

	touch f
	mkdir d
	ln -s f l
	for list in 0x 0x02000000 0x01000000 0x0200000001000600ffffffff \
		0x0200000001000600ffffffff04000400ffffffff20000400ffffffff \
		0x0200000001000600ffffffff04000800ffffffff20000400ffffffff \
		0x0200000004000400ffffffff01000600ffffffff20000400ffffffff \
		0x0200000001000600ffffffff02000600e803000004000400ffffffff20000400ffffffff \
		0x0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff \
		0x0200000001000600ffffffff02000600ffffffff04000400ffffffff10000600ffffffff20000400ffffffff \
		0x0200000001000600000000000400040001000000200004000200000000; do
		try setfattr -n system.posix_acl_access -v $list f
		try setfattr -n system.posix_acl_default -v $list d
		try setfattr -n system.posix_acl_default -v $list f
		show
	done
	try setfattr -h -n system.posix_acl_access -v 0x02000000 l
	try setfattr -x system.posix_acl_access f
	try setfattr -x system.posix_acl_default f
	try setfattr -x system.posix_acl_access l
}

chmod_changes_the_list()
{
	local mode

	touch f
	mkdir d
	setfacl -m u:1000:rwx,g:7:rx,o::x f
	setfacl -m u:1000:rwx,d:u:5:rwx d
	for mode in 0 777 640 705 4711 2770 1777; do
		try chmod $mode f d
		show
	done
}

what_is_made_inherits()
{
	local mask mode

	mkdir no some mode minimal mask few
	setfacl -d -m u:1000:rwx,g:7:r some
	setfacl -d --set u::rwx,g::rx,o::x minimal
	setfacl -d --set u::r,g::-,m::x,o::w mask
	setfacl -d --set u::-,u:6:rwx,g::rwx,m::rwx,o::- few
	for dir in no some minimal mask few; do
		for mask in 0 022 077 027; do
			for mode in 0666 0777 0600 06777; do
				umasked $mask $call create $mode $dir/f-$mask-$mode
			done
			umasked $mask $call mkdir 0777 $dir/d-$mask
			umasked $mask $call mkdir 01751 $dir/d2-$mask
			umasked $mask mkdir -m 740 $dir/d3-$mask
			umasked $mask mkfifo $dir/p-$mask
			umasked $mask mknod -m 600 $dir/c-$mask c 1 3
			umasked $mask mknod $dir/b-$mask b 1 3
			umasked $mask ln -s x $dir/l-$mask
			(cd $dir && umasked $mask $call nameless 0666 t-$mask)
			(cd $dir && umasked $mask $call socket s-$mask)
			umasked $mask mkdir -p $dir/d-$mask/deep/er
			umasked $mask touch $dir/d-$mask/deep/er/f
		done
	done
	show
}

whiteouts_are_their_makers()
{
	mkdir plain lists setgid
	setfacl -d -m u:1000:rwx lists
	chgrp 5 setgid
	chmod 2777 plain lists setgid
	for dir in plain lists setgid; do
		touch $dir/a
		setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=+mknod,+dac_override \
			--ambient-caps=+mknod,+dac_override \
			$call whiteout $dir/a $dir/b
	done
	show
}

the_kernel_checks_by_lists()
{
	local user

	mkdir d
	chmod 755 d
	for f in r w x rw none; do
		echo data > d/$f
		chmod 600 d/$f
	done
	setfacl -m u:1000:r d/r
	setfacl -m g:7:w d/w
	setfacl -m u:1000:x,u:1001:-,g:7:rwx d/x
	setfacl -m u:1000:rw,m::r d/rw
	for user in "1000 1000" "1001 1001" "1001 7" "1002 1002,7" "0 0"; do
		for f in r w x rw none; do
			# shellcheck disable=SC2086
			try as $user test -r d/$f
			# shellcheck disable=SC2086
			try as $user test -w d/$f
			# shellcheck disable=SC2086
			try as $user cat d/$f
			# shellcheck disable=SC2086
			try as $user sh -c "echo more >> d/$f"
		done
	done
	try as 1000 1000 setfacl -m u:1:r d/r
	chown 1000 d/r
	try as 1000 1000 setfacl -m u:1:r d/r
	# at once, although the kernel keeps what it was told
	try as 1001 1001 cat d/none
	setfacl -m u:1001:r d/none
	try as 1001 1001 cat d/none
	setfacl -b d/none
	try as 1001 1001 cat d/none
	chmod 700 d
	try as 1001 1001 cat d/x
	setfacl -m u:1001:x d
	try as 1001 1001 test -e d/x
	try as 1001 1001 ls d
	show
}

strangers_lose_set_gid_with_a_list()
{
	local dir

	for dir in yes no; do
		mkdir $dir
		touch $dir/f $dir/g
		mkdir $dir/d
		chown 1000:5 $dir/*
		chmod 6755 $dir/f
		chmod 6745 $dir/g
		chmod 2755 $dir/d
	done
	try as 1000 1000,5 setfacl -m u:1:r yes/f yes/g yes/d
	try as 1000 1000 setfacl -m u:1:r no/f no/g no/d
	show
	chmod 6755 no/f no/g no/d
	try setfacl -m u:1:r no/f no/g no/d
	show
	# a default list is none of the mode's
	try as 1000 1000 setfacl -d -m u:1:r no/d
	try as 1000 1000 setfacl -b no/d
	show
}

directories_give_their_group()
{
	mkdir own sgid sticky
	chown 0:5 sgid
	chmod 2777 sgid
	chmod 1777 sticky
	chmod 777 own
	for dir in own sgid; do
		for who in "0 0" "1000 1000" "1001 1001,5"; do
			# shellcheck disable=SC2086
			(
				umask 0
				for mode in 0777 02777 02767 04777 06711; do
					as $who $call create $mode "$dir/${who%% *}-$mode"
				done
				as $who $call mkdir 0777 "$dir/${who%% *}-d"
				cd $dir
				as $who $call nameless 02777 "${who%% *}-t"
				as $who mkfifo "${who%% *}-p"
				as $who ln -s x "${who%% *}-l"
			)
		done
	done
	try as 1000 1000 chmod 2777 sgid/1000-0777
	try as 1000 1000 chmod 2777 own/1000-0777
	echo x > sticky/mine
	try as 1000 1000 rm -f sticky/mine
	try as 1000 1000 mv sticky/mine sticky/yours
	show
}

set_id_bits_go()
{
	local mode who act

	for mode in 6777 6767 2767; do
		for who in "0 0" "1000 1000" "1001 1001,5"; do
			for act in write truncate trunc direct falloc punch copy chown chgrp; do
				echo data > f
				echo other > g
				chmod 666 g
				chown "${who%% *}:5" f
				chmod $mode f
				stat -c %a f > /dev/null
				case $act in
				write)	set -- sh -c 'echo more >> f' ;;
				truncate) set -- truncate -s 1 f ;;
				trunc)	set -- sh -c ': > f' ;;
				direct)	set -- dd if=/dev/zero of=f bs=4096 count=1 oflag=direct conv=notrunc status=none ;;
				falloc)	set -- fallocate -l 100000 f ;;
				punch)	set -- fallocate -p -o 0 -l 2 f ;;
				copy)	set -- $call copy g f ;;
				chown)	set -- chown "${who%% *}" f ;;
				chgrp)	set -- chgrp "${who##*[ ,]}" f ;;
				esac
				# shellcheck disable=SC2086
				as $who "$@" > said 2>&1 || echo "[$?]"
				echo "$mode $who $act $(stat -c '%a %g' f)"
			done
		done
	done
	rm -f said
}

capabilities_go()
{
	local act

	# Each of them takes it away, whoever does it.
	for act in "sh -c :" "sh -c echo_more" "truncate -s 1 f" "chown 1 f" "chown 0 f" \
		"fallocate -l 10000 f" "chmod 700 f" "touch f" "$call copy g f"; do
		echo data > f
		echo other > g
		setfattr -n security.capability -v 0x0100000202000000000000000000000000000000 f
		case $act in
		*echo_more)	echo more >> f ;;
		*)		$act ;;
		esac
		echo "${act##*/} : $(getfattr --absolute-names -m security -d f | grep -c capability)"
	done
	# set behind a write that the kernel may not have written back
	echo data > f
	setfattr -n security.capability -v 0x0100000202000000000000000000000000000000 f
	sync f
	getfattr -m security -d f | grep -c capability || true
}

names_of_attributes()
{
	local long name

	touch f
	mkdir d
	mkfifo p
	ln -s f l
	long=$(printf '%0250d' 0)
	for name in user.a trusted.a security.a system.a other.a a user. trusted. user \
		security. system. "user.$long" "user.${long}0" system.posix_acl_other; do
		for on in f d p l; do
			try setfattr -h -n "$name" -v value $on
			try getfattr -h -n "$name" --only-values $on
			try setfattr -h -x "$name" $on
			try setfattr -h -x "$name" $on
		done
	done
	setfattr -n trusted.t -v 1 f
	setfattr -n user.u -v 1 f
	setfattr -n security.s -v 1 f
	show
	chmod 666 f
	try as 1000 1000 getfattr -m - f
	try as 1000 1000 getfattr -n trusted.t f
	try as 1000 1000 setfattr -n trusted.t -v 2 f
	try as 1000 1000 setfattr -n security.s -v 2 f
	try as 1000 1000 setfattr -n user.u -v 2 f
	try getfattr -m - f
}

values_of_attributes()
{
	touch f
	$call xattrs f
}

times_of_change()
{
	touch f
	mkdir d
	ctime_moves f setfacl -m u:1:r f
	ctime_moves f setfacl -m u:1:rw f
	ctime_moves f chmod 600 f
	ctime_moves f setfacl -b f
	ctime_moves f setfattr -x system.posix_acl_access f 2>/dev/null
	ctime_moves f setfacl --set u::rw,g::r,o::- f
	ctime_moves d setfacl -d -m u:1:r d
	ctime_moves d setfacl -k d
	ctime_moves d setfacl -k d
	ctime_moves f setfattr -n user.a -v 1 f
	ctime_moves f setfattr -n user.a -v 2 f
	ctime_moves f setfattr -n user.a -v 2 f
	ctime_moves f setfattr -x user.a f
	ctime_moves f setfattr -n trusted.a -v "" f
}

programs_copy_lists()
{
	mkdir from
	setfacl -d -m u:1000:rwx,g:7:r from
	mkdir -p from/a/b
	echo one > from/a/one
	echo two > from/a/b/two
	setfacl -m u:3:rw from/a/one
	setfacl -b from/a/b/two
	setfattr -n user.x -v y from/a/one
	setfattr -n trusted.x -v y from/a/b
	chmod 2750 from/a/b
	cp -a from copied
	mkdir untarred
	tar -C from --acls --xattrs --xattrs-include='*' -cf - . |
		tar -C untarred --acls --xattrs --xattrs-include='*' -xpf -
	if command -v rsync > /dev/null; then
		rsync -aAX from/ synced/
		rsync -aAX --delete --itemize-changes from/ synced/
	fi
	getfacl -R from > lists
	cp -r from restored
	(cd restored && sed 's,^# file: from,# file: .,' ../lists | setfacl --restore=-)
	rm lists
	show
}

scenes="lists_are_set_and_removed malformed_lists_are_refused chmod_changes_the_list
what_is_made_inherits whiteouts_are_their_makers the_kernel_checks_by_lists
strangers_lose_set_gid_with_a_list directories_give_their_group set_id_bits_go
capabilities_go names_of_attributes values_of_attributes times_of_change
programs_copy_lists"

# --- On both ----------------------------------------------------------------

play()		# DIRECTORY RESULTS
{
	local scene

	for scene in ${SCENES-$scenes}; do
		mkdir "$1/$scene"
		chmod 777 "$1/$scene"
		# what fails is part of the answer
		(cd "$1/$scene" && set +e && $scene; true) > "$2/$scene" 2>&1
	done
}

tree()
{
	(cd "$1" && show)
}

# where everybody can run it
call=$T/call
install -m 755 "$top_builddir/tests/mount/call" "$call"
umask 022
chmod 755 "$T"
mkdir "$T/ext4" "$T/ext4.out" "$T/owfs.out"
truncate -s 256M "$T/ext4.img"
mkfs.ext4 -q -F -I 256 -O ea_inode "$T/ext4.img"
mount -o loop,acl,user_xattr "$T/ext4.img" "$T/ext4"
play "$T/ext4" "$T/ext4.out"
umount "$T/ext4"
rm "$T/ext4.img"

t_image 256M
t_mount
play "$MNT" "$T/owfs.out"
diff -ru "$T/ext4.out" "$T/owfs.out" > "$T/diff" || {
	head -n 100 "$T/diff"
	t_fail "owfs (+) and ext4 (-) differ: $(grep -c '^[-+]' "$T/diff") lines"
}
# ext4 has no room for so many names
touch "$MNT/many"
t_same "a list over 64 KiB" "$("$call" many "$MNT/many" | tail -n 1)" "too many: E2BIG"
rm "$MNT/many"
tree "$MNT" > "$T/before"
t_remount
tree "$MNT" > "$T/after"
diff -u "$T/before" "$T/after" | head -n 30
cmp -s "$T/before" "$T/after" || t_fail "a remount shows something else"
t_umount
t_fsck
t_expect_out 'list=u::rw-,u:3:rw-,u:1000:rwx,g::' "$DUMP" "$IMG" \
	path /programs_copy_lists/from/a/one
t_ok "$(cat "$T"/owfs.out/* | wc -l) lines of answers as on ext4"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From a clone to a mounted owfs with your files in it, on a bare Debian 12:
# install what is missing, build, format an image, mount it, copy a real tree
# in, unmount, mount again, compare, check.  Run it as root.
set -u
set -o pipefail
cd "$(dirname "$0")" || exit 1

top=$PWD
build=${OWFS_BUILD_DIR:-$top/build}
image=$build/quickstart.img
mnt=$build/quickstart.mnt
work=$build/quickstart.tmp
wanted=5000

say()
{
	printf '%s\n' "==> $*"
}

die()
{
	printf '%s\n' "quickstart.sh: $*" >&2
	exit 1
}

# logged WHAT LOG COMMAND...
logged()
{
	local what=$1 log=$2

	shift 2
	"$@" > "$log" 2>&1 && return
	tail -n 20 "$log" >&2
	die "$what failed, see $log"
}

# What the last command would have to undo if this script ended now.
clean_up()
{
	local status=$?

	trap - EXIT
	if is_mounted; then
		umount "$mnt" || umount -l "$mnt"
	fi
	rm -rf "$work"
	exit $status
}

is_mounted()
{
	grep -qF " $mnt " /proc/self/mounts
}

# --- The steps ------------------------------------------------------------

need_the_machine()
{
	[ "$(id -u)" -eq 0 ] || die "mounting needs root; run: sudo $0"
	./deps.sh build || exit 1
	[ -c /dev/fuse ] || modprobe fuse 2>/dev/null
	[ -c /dev/fuse ] || die "there is no /dev/fuse: this kernel or container" \
		"lacks FUSE (modprobe fuse, or pass the device in)"
	# Opening it is harmless: a connection exists only after a mount.
	(exec 3<> /dev/fuse) 2>/dev/null || die "/dev/fuse cannot be opened here"
	is_mounted && die "$mnt is still mounted; run: umount $mnt"
	return 0
}

build_it()
{
	mkdir -p "$build" "$mnt" "$work"
	[ -x configure ] || logged autogen.sh "$build/autogen.log" ./autogen.sh
	if ! [ -f "$build/Makefile" ]; then
		cd "$build" || exit 1
		logged configure "$build/configure.log" "$top/configure" -q
		cd "$top" || exit 1
	fi
	logged make "$build/make.log" make -C "$build" -j"$(nproc)"
}

# Folders of this machine that hold enough files together, none of them huge.
choose_tree()
{
	local dir files kib

	tree=() count=0
	for dir in /usr/share/doc /usr/include /usr/share/* /usr/lib/*; do
		if ! [ -d "$dir" ] || [ -L "$dir" ]; then
			continue
		fi
		case " ${tree[*]} " in *" $dir "*) continue ;; esac
		kib=$(du -skx "$dir" | cut -f 1)
		[ "$kib" -le 300000 ] || continue
		files=$(find "$dir" -xdev -type f -printf x | wc -c)
		[ "$files" -gt 0 ] || continue
		tree+=("$dir")
		count=$((count + files))
		[ $count -lt $wanted ] || return 0
	done
	die "found only $count files below /usr/share, /usr/include and /usr/lib"
}

mount_it()
{
	"$build/fs/fuse/owfs-fuse" "$image" "$mnt" || die "cannot mount $image"
	is_mounted || die "owfs-fuse ended well, but $mnt is not mounted"
}

# A fuseblk mount waits for its server at umount; a plain one does not, and
# the server is there until it lets the image go.
umount_it()
{
	local tries=100

	umount "$mnt" || die "cannot unmount $mnt"
	while grep -qsF "$image" /proc/[0-9]*/cmdline; do
		[ $((tries -= 1)) -gt 0 ] || die "the server does not end"
		sleep 0.1
	done
}

# All that a copy must preserve but the bytes: type, mode, owner, size, time,
# target; then which names are the same file.
metadata()
{
	local dir

	for dir in "${tree[@]}"; do
		find "$1$dir" -xdev \
			\( -type d -printf "$dir/%P %y %m %U:%G %T@\n" \) -o \
			-printf "$dir/%P %y %m %U:%G %T@ %s %l\n"
	done | LC_ALL=C sort
	for dir in "${tree[@]}"; do
		find "$1$dir" -xdev -type f -links +1 -printf "%i $dir/%P\n"
	done | LC_ALL=C sort | awk '
		$1 == ino	{ group = group " = " substr($0, index($0, " ") + 1); next }
				{ if (group ~ / = /) print group
				  ino = $1; group = substr($0, index($0, " ") + 1) }
		END		{ if (group ~ / = /) print group }' | LC_ALL=C sort
}

compare_all()
{
	local dir

	for dir in "${tree[@]}"; do
		diff -r --no-dereference "$dir" "$mnt$dir" > "$work/bytes" 2>&1 || {
			head -n 20 "$work/bytes"
			die "bytes differ below $dir"
		}
	done
	metadata "" > "$work/before"
	metadata "$mnt" > "$work/after"
	diff "$work/before" "$work/after" > "$work/meta" || {
		head -n 20 "$work/meta"
		die "metadata differs"
	}
}

did=()
timed()
{
	local what=$1 start

	shift
	say "$what"
	start=$(date +%s%N)
	"$@"
	did+=("$(printf '%7.2f s  %s' \
		"$(($(date +%s%N) - start))e-9" "$what")")
}

copy_in()
{
	(cd / && cp -a --parents "${tree[@]#/}" "$mnt/") || die "the copy failed"
}

format_it()
{
	rm -f "$image"
	"$build/mkfs/mkfs.owfs" -L quickstart "$image" 4G ||
		die "cannot format $image"
}

check_it()
{
	"$build/fsck/fsck.owfs" -f -n "$image" || die "fsck.owfs found errors"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

timed "install what is missing" need_the_machine
timed "build in $build" build_it
choose_tree
timed "format $image (4 GiB, sparse)" format_it
timed "mount it on $mnt" mount_it
timed "copy $count files in (${tree[*]::2} ...)" copy_in
timed "unmount" umount_it
timed "mount again" mount_it
timed "compare all bytes and metadata" compare_all
timed "unmount" umount_it
timed "check with fsck.owfs" check_it

cat <<END

What was done, and how long it took:
$(printf '%s\n' "${did[@]}")

All $count files came back the same.  Go on by hand:
  $build/fs/fuse/owfs-fuse $image $mnt    # mount
  ls $mnt/usr
  umount $mnt
  $build/fsck/fsck.owfs -f -n $image      # check
  $build/dump/owfs-dump $image superblock
  ${PAGER:-more} README.md                  # and man/*.[58]
  make -C $build install                  # then: mount -t owfs DEVICE DIRECTORY
END

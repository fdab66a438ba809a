#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The one list of Debian packages owfs needs.
#
#	./deps.sh build		install what is missing to build it
#	./deps.sh build test	... and to test it
#	./deps.sh programs	programs that are tried on it: 50 MB; without one of
#				them a test is skipped
#	./deps.sh long		more of them for make check-long: 250 MB
#	./deps.sh -n build	only name what is missing
set -u

build=(gcc libc6-dev make autoconf automake libtool pkg-config
	libfuse3-dev liburcu-dev libseccomp-dev libxxhash-dev uuid-dev libblkid-dev)
# losetup, mount and umount; findmnt and blkid
run=(mount util-linux)
test=(libcmocka-dev fuse3 mandoc acl attr e2fsprogs util-linux-extra)
programs=(acl fio git libnbd-bin nbdkit rsync sqlite3)
long=(dbench postgresql)

die()
{
	echo "deps.sh: $*" >&2
	exit 1
}

is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=() only_name=no
for set in "$@"; do
	case $set in
	-n)	only_name=yes; continue ;;
	build)	wanted=("${build[@]}" "${run[@]}") ;;
	test)	wanted=("${test[@]}") ;;
	programs) wanted=("${programs[@]}") ;;
	long)	wanted=("${programs[@]}" "${long[@]}") ;;
	*)	die "usage: deps.sh [-n] {build|test|programs|long}..." ;;
	esac
	for package in "${wanted[@]}"; do
		is_installed "$package" || missing+=("$package")
	done
done

[ ${#missing[@]} -gt 0 ] || exit 0
if [ $only_name = yes ]; then
	printf '%s\n' "${missing[@]}"
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "deps.sh: not a Debian; you may have to install by hand: ${missing[*]}" >&2
	exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null || ! { [ -t 0 ] || sudo -n true 2>/dev/null; }
	then
		die "packages are missing, and only root can install them:
	apt-get update && apt-get install --no-install-recommends ${missing[*]}"
	fi
	as_root=(sudo)
fi
echo "installing with apt-get: ${missing[*]}"
apt()
{
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null
}
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
{ apt update && apt install --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 ||
	die "apt-get failed:
$(tail -n 20 "$log")"

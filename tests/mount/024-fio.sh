#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fio writes and verifies: buffered, direct, through a map, by asynchronous I/O
# and io_uring, with blocks of many sizes, several jobs at once; and verifies
# again after a remount.
#
#	FIO_SIZE=BYTES	of each file
#	FIO_LOOPS=N	written so many times
. "${top_srcdir:?}/tests/lib/testlib.sh"
t_require_fuse
t_require_cmd fio

size=${FIO_SIZE-6M}
cat > "$T/jobs" <<EOF
[global]
directory=$MNT/d
size=$size
loops=${FIO_LOOPS-1}
verify=crc32c
verify_fatal=1
verify_dump=0
verify_state_save=0
rw=randwrite
randrepeat=0
allrandrepeat=0
EOF

# job NAME OPTION...
job()
{
	printf '[%s]\n' "$1" >> "$T/jobs"
	shift
	printf '%s\n' "$@" >> "$T/jobs"
}

# io_uring may be forbidden to programs
engines="psync mmap libaio"
if fio --name=probe --ioengine=io_uring --filename="$T/probe" --size=4k --rw=write \
		> /dev/null 2>&1; then
	engines+=" io_uring"
fi
job buffered ioengine=psync bsrange=512-64k bs_unaligned=1 numjobs=2
job synced ioengine=sync bs=4k fsync=16 size=1M
job direct ioengine=psync direct=1 bsrange=4k-256k blockalign=4k numjobs=2
job direct-small ioengine=psync direct=1 bs=512 size=1M
job mapped ioengine=mmap bsrange=4k-32k blockalign=4k numjobs=2
job aio ioengine=libaio direct=1 iodepth=16 bssplit=4k/40:16k/30:128k/30 numjobs=2
job aio-buffered ioengine=libaio iodepth=8 bs=8k
case $engines in
*uring*)
	job uring ioengine=io_uring direct=1 iodepth=16 bsrange=4k-64k blockalign=4k numjobs=2
	job uring-buffered ioengine=io_uring iodepth=8 bsrange=1k-32k bs_unaligned=1 ;;
esac
job appended ioengine=psync rw=write bsrange=1k-9k bs_unaligned=1 fallocate=none
job preallocated ioengine=psync direct=1 rw=randwrite bs=4k fallocate=keep

t_image 1G
t_mount
mkdir "$MNT/d"
fio --alloc-size=32768 "$T/jobs" > "$T/out" 2>&1 ||
	{ tail -n 40 "$T/out"; t_fail "fio"; }
! grep 'err= *[1-9]' "$T/out" || t_fail "fio"
t_ok "written and verified: $engines"
t_remount
(cd "$MNT/d" && cksum -- *) > "$T/sums"
t_umount
t_fsck
t_mount
(cd "$MNT/d" && cksum -- *) | cmp - "$T/sums"
t_umount
t_ok "files=$(wc -l < "$T/sums")"

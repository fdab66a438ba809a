#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Do the tests of iomap mode see what they should?  Each line of the list is a
# mistake put into a copy of the sources; a mistake that k_golden and k_prove
# both let pass has survived.
#
#	mutants.sh [STEPS [NAME...]]	from the top of the sources
#
# The last line is "mutants=N survived=N".
set -u
steps=${1:-6000}
shift
top=$PWD
dir=$(mktemp -d "${TMPDIR:-/tmp}/owfs-mutants.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

# NAME|FILE|SED: one change that compiles.
list='
unaligned-direct|fs/file/kmap.c|s/return ret ? ret : yes ? 0 : -ENOSYS;/return ret;/
direct-over-dirty|fs/file/kmap.c|s/if (owfs_wmap_busy(rq->inode, rq->first, rq->end))/if (0)/
enosys-echoed|fs/fuse/ops_iomap.c|s@server_reply(req, ret == -ENOSYS ? -EIO : ret);@server_reply(req, ret);@;s@ret = owfs_kmap_ioend(inode, kind_of@ret = error == -ENOSYS ? error : owfs_kmap_ioend(inode, kind_of@
mapped-destination|fs/fuse/ops_iomap.c|s/\[OWFS_IOMAP_UNWRITTEN\] = FUSE_IOMAP_TYPE_UNWRITTEN/[OWFS_IOMAP_UNWRITTEN] = FUSE_IOMAP_TYPE_MAPPED/
hole-in-writeback|fs/file/kmap.c|s/map->type = OWFS_IOMAP_UNWRITTEN;/map->type = OWFS_IOMAP_HOLE;/
not-contiguous|fs/file/kmap.c|s@ret = take_blocks(rq, st, fsblock, len);@{ uint64_t w = *len; ret = take_blocks(rq, st, fsblock, len); if (*len < w) *len += 1; }@
no-retry|fs/file/kmap.c|s/km->retry = cache_put(rq, km);/km->retry = false;/
read-side-only|fs/fuse/ops_iomap.c|s/\&read, \&write);/\&read, NULL);/
no-mending|fs/file/kmap.c|s/if (!ret \&\& mapped) {/if (0) {/
no-adoption|fs/file/kmap.c|s/ret = adopt_direct(inode, \&io);/ret = 0;/
error-gives-back|fs/file/wmap.c|s/!(error \&\& p->st.cached)/1/
empty-ioend|fs/file/kmap.c|s/if (written \&\& !ret)/if (!ret)/
size-forgotten|fs/file/wmap.c|s/.size = error ? 0 : min_u64(size, bytes),/.size = 0,/
reserved-with-ioend|fs/file/wmap.c|s/if (p->st.reserved || p->st.placed)$/if (0)/
cancel-everything|fs/file/wmap.c|s/first = max_u64(first, wm->fresh);//;s/end = min_u64(end, wm->fresh_end);//
confirm-nothing|fs/file/kmap.c|s/owfs_wmap_confirm(inode, rq->first, rq->first + len);/;/
edges-twice|fs/file/cut.c|s/if (c->inode->i_fs->fs_kernel_io)/if (0)/
drop-nothing|fs/file/cut.c|s/owfs_wmap_drop(inode, c->first, c->end);/;/
plain-inodes|fs/fuse/ops_dir.c|s@server_iflags(server_of(l->req), inode)@0@
old-minor|fs/fuse/session.c|s/out->minor = s->minor;/;/
no-reservation|fs/file/kmap.c|s/ret = reserve(rq, rq->first, \&len, !has);/ret = 0;/
report-hides|fs/file/kmap.c|s/if (st.reserved || st.placed)$/if (0)/
no-rest|fs/space/alloc_rest.c|s/until = al->rest_secs ? al->rest_now() + al->rest_secs : 0;/until = 0;/
'

git archive HEAD 2>/dev/null | tar -x -C "$dir" 2>/dev/null
[ -d "$dir/fs" ] || cp -a "$top/." "$dir/" || exit 99
cp -a "$top/fs" "$top/tests" "$dir/" || exit 99
cd "$dir" || exit 99
rm -rf build
[ -x configure ] || ./autogen.sh > autogen.log 2>&1 || exit 99
mkdir build && cd build || exit 99
../configure -q CC="${CC:-cc}" CFLAGS='-O1' > configure.log 2>&1 || exit 99
make -j"$(nproc)" > make.log 2>&1 || { tail make.log; exit 99; }
make -C tests/lib libtest.la > make.log 2>&1 || exit 99

# Does anything object?
found()
{
	make -j"$(nproc)" -C fs > make.log 2>&1 || { echo "does not build"; return 1; }
	make -C tests/iomap k_golden k_prove > make.log 2>&1 || return 0
	(cd tests/iomap && timeout 120 ./k_golden > golden.log 2>&1) || return 0
	(cd tests/iomap && timeout 300 ./k_prove "$steps" > prove.log 2>&1) ||
		return 0
	case $1 in
	no-rest)
		make -C tests/unit check TESTS=test_alloc_rest > make.log 2>&1 ||
			return 0 ;;
	esac
	return 1
}

total=0 survived=0
while IFS='|' read -r name file sed; do
	[ -n "$name" ] || continue
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	cp "../$file" ../saved
	sed -i "$sed" "../$file"
	total=$((total + 1))
	if cmp -s "../$file" ../saved; then
		echo "$name: changes nothing"
		survived=$((survived + 1))
	elif found "$name"; then
		echo "$name: found"
	else
		echo "$name: SURVIVED"
		survived=$((survived + 1))
	fi
	cp ../saved "../$file"
	touch "../$file"
done <<< "$list"
echo "mutants=$total survived=$survived"
[ "$survived" -eq 0 ]

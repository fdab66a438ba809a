#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The code for a libfuse that has the iomap calls compiles, with both forms of
# them, against the declarations in fork/.
set -u
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 99

pkg-config --exists fuse3 || { echo "no fuse3"; exit 77; }
read -ra flags < <(pkg-config --cflags fuse3 liburcu-bp libxxhash)
bad=0
for form in '' -DFORK_CONFIG_PARAMS; do
	params=0
	[ -z "$form" ] || params=1
	for file in fs/fuse/*.c; do
		# shellcheck disable=SC2086
		${CC:-cc} -std=gnu11 -fsyntax-only -fms-extensions -Wall \
			-Wextra -Werror -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
			-DFUSE_USE_VERSION=399 -DHAVE_FUSE_IOMAP=1 \
			-DHAVE_FUSE_IOMAP_CONFIG_PARAMS=$params $form \
			-Itests/lib/fork "${flags[@]}" -Ifs "$file" || bad=1
	done
done
exit $bad

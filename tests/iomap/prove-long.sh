#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One step of the long search in iomap mode, for lib/long.sh: with seeds that no
# step before had.  A seed is good for more than a hundred steps.
totals=$(./k_prove "${IOMAP_STEP:-100000}" $((1000000 + ${LONG_DONE:-0} / 100)))
status=$?
echo "ok: seeds=1 $totals"
exit $status

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One step of the long crash search, for lib/long.sh: PROVE_STEP states with a
# seed that no step before had, since it grows with what was counted by then.
totals=$(./c_prove states="${PROVE_STEP:-50000}" jobs="${PROVE_JOBS:-$(nproc)}" seed=$((1000 + ${LONG_DONE:-0})))
status=$?
echo "ok: seeds=1 $totals"
exit $status

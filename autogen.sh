#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Make ./configure out of configure.ac; needed after a clone, not in a release.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force "$@"

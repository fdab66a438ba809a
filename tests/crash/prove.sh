#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Try to break the promises: crash states, faults at every point, and threads
# against each other.  Run by make prove in the folder of the programs:
#
#	prove.sh [STATES [SECONDS [SEED]]]
#
#	STATES	so many crash states (50000; none if SECONDS is given)
#	SECONDS	the crash search runs so long (0: until it has the states)
#	SEED	another search (1)
#
# RACE_SECONDS says how long each storm of threads runs (5).  The last line has
# the totals, of races how often an inode was compared with what a serial order
# must show; what broke a promise has printed the command that replays it.
set -u
seconds=${2:-0} seed=${3:-1}
states=${1:-$([ "$seconds" -gt 0 ] && echo 0 || echo 50000)}
race_seconds=${RACE_SECONDS:-5}
crash_states=0 fault_points=0 races=0 violations=0

# value NAME of a line of NAME=N words
value()
{
	sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" <<< "$2" | tail -n 1
}

# A program that printed no totals has died of something.
add()
{
	local name=$1 found=$2 line=$3

	line=$(tail -n 1 <<< "$line")
	echo "$line"
	printf -v "$name" '%d' $((${!name} + $(value "$found" "$line" | grep . || echo 0)))
	violations=$((violations + $(value violations "$line" | grep . || echo 1)))
}

echo "crash states:"
add crash_states crash_states \
	"$(./c_prove states="$states" seconds="$seconds" seed="$seed")"
echo "faults:"
add fault_points runs "$(./c_fault)"
add fault_points lies "$(./c_lies every=1)"
echo "races:"
for storm in storm storm_broken storm_file storm_full storm_iomap storm_kept storm_over; do
	if said=$(../stress/$storm "$race_seconds" "$seed"); then
		echo "$storm: $(tail -n 1 <<< "$said")"
		races=$((races + $(value races "$said")))
	else
		echo "$said"
		violations=$((violations + 1))
		echo "replay: $storm $race_seconds $seed"
	fi
done
echo "crash_states=$crash_states fault_points=$fault_points races=$races violations=$violations"
[ "$violations" -eq 0 ] && [ "$crash_states" -gt 0 ]

#!/bin/bash
# What an update costs where subscribers filter by symbol, as Markdown tables:
# by 1, 10, 100 and 1,000 distinct selections of 100 random symbols each, out of
# 10,000; updates of one row and of 100; and in batches.
#
#   bench/filter_cost.sh BUILD_DIR
#
# Takes ten seconds, and 200 MB of memory.  Figures are medians of rounds in one
# process: two noisy cores will do, but read the ratios.
set -u

if [ $# -ne 1 ]; then
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
make -s -C "$1" bench/filter_cost || exit 1
echo "$(nproc) noisy cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo |
	head -n 1), median of rounds"
exec "$1/bench/filter_cost"

#!/bin/bash
# What a request costs in the daemon, as a Markdown table (bench/request_cost.c):
#
#   bench/request_cost.sh BUILD_DIR
#
# Takes a few seconds.  BUILD_DIR has the library, built without sanitizers.
set -eu

if [ $# -ne 1 ]; then
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
build=$(realpath "$1")
make -s -C "$build" bench/request_cost
"$build/bench/request_cost"

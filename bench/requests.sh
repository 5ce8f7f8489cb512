#!/bin/bash
# What a request costs in the daemon, as a Markdown table (bench/requests.c):
#
#   bench/requests.sh BUILD_DIR
#
# Takes a few seconds.  BUILD_DIR has the library, built without sanitizers.
set -eu

if [ $# -ne 1 ]; then
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
build=$(realpath "$1")
cd "$(dirname "$0")/.."
program=$(mktemp "${TMPDIR:-/tmp}/ringtick-requests.XXXXXX")
trap 'rm -f "$program"' EXIT
# shellcheck disable=SC2046
"${CC:-cc}" -O2 -D_GNU_SOURCE -I"$build" -Isrc -o "$program" \
	bench/requests.c "$build/libringtick.a" \
	$(pkg-config --libs liburing libconfig libsystemd)
"$program"

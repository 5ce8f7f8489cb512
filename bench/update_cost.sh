#!/bin/bash
# What one update costs the application thread, from memory (bench/update_cost.c):
#
#   bench/update_cost.sh [--instructions] BUILD_DIR [FORM]...
#
# As a Markdown table: instructions by callgrind, which are the same in every
# run, and nanoseconds, the least of nine runs.  Instructions are the difference
# of two runs of different length, so that start and stop are not in them.
# With --instructions only these, as lines "FORM COUNT".
set -eu

# shellcheck source=bench/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
bare=false
if [ "${1-}" = --instructions ]; then
	bare=true
	shift
fi
[ $# -gt 0 ] || usage
program=$(realpath "$1")/bench/update_cost
shift
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ringtick-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

counted()	# FORM COUNT
{
	valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--log-file="$scratch/log" "$program" "$1" "$2" \
		>/dev/null 2>"$scratch/err" || {
		cat "$scratch/log" "$scratch/err" >&2
		exit 1
	}
	sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p' "$scratch/log"
}

instructions()	# FORM
{
	local few many

	command -v valgrind >/dev/null || {
		echo -
		return
	}
	few=$(counted "$1" 2000)
	many=$(counted "$1" 12000)
	echo $(((many - few) / 10000))
}

nanoseconds()	# FORM
{
	local count=200000

	case $1 in
	rows | strings)	count=20000 ;;
	esac
	for _ in 1 2 3 4 5 6 7 8 9; do
		"$program" "$1" $count 2>/dev/null
	done | sort -g | head -n 1
}

[ $# -gt 0 ] || set -- row columns stamp rows strings
if $bare; then
	for form in "$@"; do
		echo "$form $(instructions "$form")"
	done
	exit
fi
echo '| update | instructions | ns |'
echo '|---|---:|---:|'
for form in "$@"; do
	echo "| $form | $(instructions "$form") | $(nanoseconds "$form") |"
done

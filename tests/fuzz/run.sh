#!/bin/bash
# Builds the fuzz targets with clang, ASan and UBSan, and runs one after the
# other, each from what it knows: tests/fuzz/corpus, and what earlier runs have
# found (build/fuzz/NAME/corpus).  Prints a line for each; stops at a fault,
# whose input is then in build/fuzz/NAME.
#
#   FUZZ_SECONDS=1200 tests/fuzz/run.sh [NAME...]
#   tests/fuzz/run.sh --keep [NAME...]
#
# --keep does not search: from all inputs known it picks short ones that
# together reach all code that is reached, and writes them to tests/fuzz/corpus.
# Lines of comment there are kept with the input after them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. build-aux/common.sh

corpus=tests/fuzz/corpus
is_keeping=
[ "${1-}" != --keep ] || { is_keeping=1; shift; }
build_fuzzers >&2 || exit 1
[ $# -gt 0 ] || set -- $(cd build/clang/tests/fuzz && ls fuzz_* |
	grep -v '\.' | sed 's/^fuzz_//')

# search NAME: for FUZZ_SECONDS.
search()
{
	local dir=build/fuzz/$1 seeds=build/fuzz/$1/seeds TIMEFORMAT='%U %S'
	rm -rf "$seeds"
	mkdir -p "$dir/corpus" "$seeds"
	[ ! -e $corpus/$1 ] ||
		python3 tests/fuzz/corpus.py unpack $corpus/$1 "$seeds" ||
		return 1
	{ time build/clang/tests/fuzz/fuzz_$1 -print_final_stats=1 \
		-max_total_time="${FUZZ_SECONDS:-3}" -rss_limit_mb=2048 \
		-timeout=25 -artifact_prefix="$dir/" \
		"$dir/corpus" "$seeds" >"$dir/log" 2>&1 </dev/null
	} 2>"$dir/time" || {
		tail -n 60 "$dir/log"
		echo "fuzz_$1: FAILED, see $dir"
		return 1
	}
	awk -v name="$1" '
	/ cov: [0-9]+ ft: /	{ sub(/.* cov: /, ""); cov = $1; ft = $3 }
	/^stat::number_of_exec/	{ runs = $2 }
	NF == 2 && FILENAME ~ /time$/	{ cpu = $1 + $2 }
	END {
		printf "%-10s executions %9d  edges %5d  features %6d" \
			"  CPU seconds %5d\n", name, runs, cov, ft, cpu
	}' "$dir/log" "$dir/time"
}

# keep NAME: the comments of the present file and their inputs stay.
keep()
{
	local dir=build/fuzz/$1 all=build/fuzz/$1/all best=build/fuzz/$1/best
	rm -rf "$all" "$best"
	mkdir -p "$all" "$best" "$dir/corpus"
	[ ! -e $corpus/$1 ] ||
		python3 tests/fuzz/corpus.py unpack $corpus/$1 "$all" ||
		return 1
	build/clang/tests/fuzz/fuzz_$1 -set_cover_merge=1 -use_counters=0 \
		-max_len="${KEEP_BYTES:-1024}" -rss_limit_mb=2048 \
		"$best" "$dir/corpus" "$all" >"$dir/log" 2>&1 </dev/null || {
		tail -n 60 "$dir/log"
		return 1
	}
	{
		[ ! -e $corpus/$1 ] || grep -A 1 '^#' $corpus/$1 | grep -vx -- --
		python3 tests/fuzz/corpus.py pack "$best"
	} | awk '/^#/ || !seen[$0]++' >"$dir/kept"
	mkdir -p $corpus
	mv "$dir/kept" $corpus/$1
	wc -lc $corpus/$1
}

for name in "$@"; do
	if [ -n "$is_keeping" ]; then
		keep "$name" || exit 1
	else
		search "$name" || exit 1
	fi
done

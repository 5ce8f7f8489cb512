#!/bin/bash
# How many of the lines of src/ the simulation alone reaches, by folder (gcov).
#
#   tests/sim/coverage.sh [SEEDS]     in build/coverage; 100 seeds if not told
#
# build/coverage/gcov has what was found of each function, in `functions`, and
# of each line.
set -eu
cd "$(dirname "$0")/../.."
. build-aux/common.sh
seeds=${1:-100}

export CCACHE_DIR=${CCACHE_DIR:-$PWD/build/ccache}
dir=build/coverage
mkdir -p $dir
if [ ! -e $dir/Makefile ]; then
	[ -x configure ] || autoreconf -fi
	(cd $dir && ../../configure -q CFLAGS="-O1 --coverage" \
		CC="$(command -v ccache >/dev/null && echo ccache) gcc")
fi
make -s -C $dir -j2 tests/sim/ringtick-sim
cd $dir
find . -name '*.gcda' -delete

# As many short seeds as asked for, and some of a good hour and of a day.
half=$((seeds / 2))
{
	./tests/sim/ringtick-sim --seed 1 --seeds $half --days 0.002
	./tests/sim/ringtick-sim --seed 2001 --seeds $((seeds / 10)) --days 0.05
} | grep -v ': ok, ' || true &
{
	./tests/sim/ringtick-sim --seed $((half + 1)) --seeds $half --days 0.002
	./tests/sim/ringtick-sim --seed 3001 --seeds $((seeds / 10)) --days 0.05
} | grep -v ': ok, ' || true
wait

# Not the main program, the listener, the self-test, which need the kernel.
rm -rf gcov
mkdir gcov
gcov -f -p $(find src -name '*.gcda') >gcov/functions
mv ./*.gcov gcov
awk '
BEGIN { n = split("ring journal client tick daemon", names, " ") }
FNR == 1 {
	parts = split(FILENAME, part, "#")
	folder = part[parts - 1]
	is_wanted = FILENAME ~ /#src#/ &&
		part[parts] !~ /^(main|listener|selftest)\.c/
}
!is_wanted || /^ *-:/ { next }
{ lines[folder]++ }
/^ *(#####|=====):/ { missed[folder]++ }
function show(name, of, not)
{
	printf "%-8s %5d lines, %5.1f %%\n", name, of, 100 - 100 * not / of
}
END {
	for (i = 1; i <= n; i++) {
		show(names[i], lines[names[i]], missed[names[i]])
		all += lines[names[i]]
		all_missed += missed[names[i]]
	}
	show("all", all, all_missed)
}' gcov/*.gcov

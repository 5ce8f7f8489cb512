#!/bin/bash
# Measures ringtick beside a plain epoll relay, redis, nats and a ZeroMQ proxy, in
# one run, taking turns; prints Markdown, and draws plots:
#
#   bench/compare_brokers.sh BUILD_DIR [--quick] [OPTION of bench/compare_brokers.py]...
#
# Less than 20 minutes, with --quick 2.  Writes BUILD_DIR/bench/report.md,
# plots/*.svg and results.jsonl.  `make bench` builds what it needs before, and
# runs it (BENCHFLAGS=--quick).
#
# As root all of it runs in a network namespace of its own, with congestion
# control reno (or $CONGESTION): where bbr is the system's default, it paces loopback
# down.  Else the system's is used.  The report names it.
set -u

# shellcheck source=bench/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
	usage
fi
build=$(realpath "$1")
shift
results=$build/bench/results.jsonl
for program in ringtickd bench/load_generator bench/plain_relay bench/update_cost; do
	[ -x "$build/$program" ] ||
		die "no $build/$program; run: make -C $build bench"
done

make_alone

{
	echo "# $("$build/ringtickd" --version), $(date -u +%Y-%m-%d)"
	echo
	machine
} >"$build/bench/report.md"

rm -f "$results"
"${alone[@]}" python3 "$here/compare_brokers.py" --build "$build" --out "$results" "$@" ||
	exit 1
python3 "$here/compare_brokers_report.py" "$results" "$build/bench/plots" \
	>>"$build/bench/report.md" || exit 1
{
	printf '\n## One update from memory\n\n'
	"$here/update_cost.sh" "$build"
} >>"$build/bench/report.md"
cat "$build/bench/report.md"

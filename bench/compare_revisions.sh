#!/bin/bash
# Compares two revisions: is the second one slower?
#
#   bench/compare_revisions.sh REV1 REV2 [ROUNDS]
#
# Builds both in worktrees of their own in $TMPDIR (/tmp), and prints a Markdown
# table:
#
#   instructions of one update by callgrind, the same in every run
#   CPU seconds of the daemon per GB, and updates a second, in the cells of
#   bench/compare_brokers.sh --quick: medians of ROUNDS (7) whose passes take turns
#
# First the means of all cells, and of all of a mode: they are the least noisy.
# "spread" is the noise: the middle half of REV2 / REV1 over the rounds.  A
# change of a mean is called where the ratio is beyond the bound (instructions
# 2 %, CPU per GB 5 %, rate 10 %) and the middle half on one side of 1; of a
# single cell only where all of the middle half is beyond the bound.  Then the
# exit status is 1 for the worse.  Takes a minute to build and 10 s a round.
#
# The load generator, and bench/update_cost.c, are those of the folder this script is
# in, for both.
set -eu

# shellcheck source=bench/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	usage
fi
rounds=${3:-7}
cd "$here/.."
names=("$1" "$2")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ringtick-compare.XXXXXX")

stop()
{
	for n in 0 1; do
		git worktree remove --force "$scratch/$n" 2>/dev/null || true
	done
	rm -rf "$scratch"
}
stop_at_exit

# ---- build ----

# Of the folder that this script is in, with none of the revision's sources.
here_program()	# NAME SOURCE...
{
	local src=$here/../src

	"${CC:-gcc}" -O2 -I. -I"$src" -o "bench/$1" "${@:2}" \
		"$here/measure.c" "$here/sockets.c" "$src/base/clock.c" \
		"$src/base/util.c" "$src/wire/write.c"
}

prepare()	# N REV
{
	local top=$scratch/$1

	git worktree add -q --detach "$top" "$2"
	(
		cd "$top"
		autoreconf -fi
		mkdir -p build/compare/bench
		cd build/compare
		../../configure -q CFLAGS='-g -O2'
		make -s -j2 ringtickd libringtick.a
		here_program load_generator "$here"/load_*.c \
			"$here/../src/tools/histogram.c"
		here_program plain_relay "$here/plain_relay.c" \
			"$here/../src/ring/ring.c"
		# It calls the daemon's inner interfaces: an old revision may
		# have others.
		# shellcheck disable=SC2046
		"${CC:-gcc}" -g -O2 -D_GNU_SOURCE -I. -I../../src \
			-o bench/update_cost "$here/update_cost.c" libringtick.a \
			$(pkg-config --libs liburing libconfig libsystemd) ||
			echo "no instructions: bench/update_cost.c does not fit $2"
	) >"$scratch/log.$1" 2>&1 || {
		tail -n 20 "$scratch/log.$1" >&2
		exit 1
	}
	grep '^no instructions' "$scratch/log.$1" >&2 || true
}

for n in 0 1; do
	prepare $n "${names[$n]}"
done

# ---- measure ----

make_alone
for n in 0 1; do
	top=$scratch/$n/build/compare
	[ ! -x "$top/bench/update_cost" ] || ! command -v valgrind >/dev/null ||
		"$here/update_cost.sh" --instructions "$top" \
			>"$scratch/instructions.$n"
done
for ((round = 0; round < rounds; round++)); do
	for n in $((round % 2)) $(((round + 1) % 2)); do
		"${alone[@]}" python3 "$here/compare_brokers.py" --quick --reps 1 \
			--stages tput --peers direct,sqpoll,direct+j \
			--build "$scratch/$n/build/compare" \
			--out "$scratch/cells.$n.$round" \
			2>>"$scratch/run.log" || {
			tail -n 5 "$scratch/run.log" >&2
			exit 1
		}
	done
done

python3 "$here/compare_revisions_table.py" "$scratch" "$rounds" "${names[@]}"

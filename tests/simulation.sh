#!/bin/sh
# The whole daemon in a deterministic simulation (TAP): fixed seeds, and seeds
# that were found to fail once.
#
#   SIM_SECONDS=3600 tests/simulation.sh   new seeds for so long, by hand
set -u

sim=./tests/sim/ringtick-sim
top=${srcdir:-$(dirname "$0")/..}
seeds=$top/tests/sim/seeds
tests_cnt=0
failed=0
fixed=50

# With sanitizers a run takes five times as long.
if [ -n "${SAN_CFLAGS-}" ]; then
	fixed=10
fi

report()
{
	tests_cnt=$((tests_cnt + 1))
	if [ -z "$2" ]; then
		echo "ok $tests_cnt - $1"
	else
		failed=1
		echo "not ok $tests_cnt - $1"
		echo "$2" | sed 's/^/# /'
	fi
}

# Not once more of the same objects.
case " ${CFLAGS--O2} " in
*" -O2 "*)	;;
*)
	echo "1..0 # SKIP it runs in the build with -O2"
	exit 0
	;;
esac

# The lines of a run that say what is wrong.
run()
{
	"$sim" "$@" 2>&1 | grep -v ': ok, '
}

if [ -n "${SIM_SECONDS-}" ]; then
	end=$(($(date +%s) + SIM_SECONDS))
	seed=$(date +%s)0000
	while [ "$(date +%s)" -lt "$end" ]; do
		"$sim" --seed "$seed" --seeds 20 --days "${SIM_DAYS:-0.05}" ||
			failed=1
		seed=$((seed + 20))
	done
	exit $failed
fi

# Calls into the kernel that would leave the simulation.
report "src/ calls nothing that is not simulated" "$(
	{
		grep -v '^#' "$top/tests/sim/harmless" | tr ' ' '\n'
		tr ' \t' '\n\n' <"$top/Makefile.am" |
			sed -n 's/^-Wl,--wrap=//p'
		nm libringtick.a | awk 'NF == 3 { print $3 }'
	} | sort -u >sim.known
	nm -u libringtick.a | awk '$1 == "U" { print $2 }' | sort -u |
		comm -23 - sim.known |
		grep -v '^_GLOBAL_\|^__asan\|^__ubsan\|gcov' |
		sed 's/$/: see tests\/sim\/sim.h/'
	rm -f sim.known)"
report "one seed is one course of events" "$(
	"$sim" --seed 7 --days 0.01 --trace | cksum >sim.once
	"$sim" --seed 7 --days 0.01 --trace | cksum | diff sim.once - >&2 ||
		echo "two runs of seed 7 differ"
	rm -f sim.once)"
report "fixed seeds" "$(run --seed 1 --seeds $fixed --days 0.002)"
while read -r seed days faults why; do
	report "$why" "$(run --seed "$seed" --days "$days" --faults "$faults")"
done <<END
$(grep -v '^#' "$seeds")
END

echo "1..$tests_cnt"
exit $failed

#!/bin/sh
# The whole daemon in a deterministic simulation (TAP): fixed seeds, new ones,
# and those that were found to fail once.
#
#   SIM_SECONDS=3600 tests/simulation.sh   new seeds for so long, by hand, each
#                                          in a short run, or in one of a day
#
# It runs in a build folder; started elsewhere, in build/plain.
set -u

sim=./tests/sim/ringtick-sim
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd) || exit 1
seeds=$top/tests/sim/seeds
tests_cnt=0
failed=0
fixed=100
new=50
jobs=$(nproc)

# With sanitizers a run takes five times as long.
if [ -n "${SAN_CFLAGS-}" ]; then
	fixed=10
	new=5
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

# Not once more of the same objects, nor in distcheck.
case "$PWD ${CFLAGS--O2} " in
*/_build/sub*)
	echo "1..0 # SKIP it runs in the build of the sources"
	exit 0
	;;
*" -O2 "*)	;;
*)
	echo "1..0 # SKIP it runs in the build with -O2"
	exit 0
	;;
esac

# By hand.
[ -x $sim ] || [ -n "${srcdir-}" ] || cd "$top/build/plain" || exit 1
[ -x $sim ] || {
	echo "there is no ringtick-sim: make -C $PWD tests/sim/ringtick-sim" >&2
	exit 1
}

# A job has a stack of its own, of which ASan says so.
stacks='^==[0-9]*==WARNING: ASan\|^False positive error reports may\|'
stacks=$stacks'^For details see https://github.com/google/sanitizers/issues/189'

# The lines of a run that say what is wrong.
run()
{
	"$sim" --jobs "$jobs" "$@" 2>&1 | grep -v ': ok, ' | grep -v "$stacks"
}

# Nobody has seen these.
new_seed=$(date +%s%N | cut -c 1-16)

if [ -n "${SIM_SECONDS-}" ]; then
	end=$(($(date +%s) + SIM_SECONDS))
	while [ "$(date +%s)" -lt "$end" ]; do
		for days in 0.002 0.02 1; do
			"$sim" --jobs "$jobs" --seed "$new_seed" --seeds 8 \
				--days "$days" || failed=1
		done
		new_seed=$((new_seed + 8))
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
report "what is wrong with its options is said" "$(
	for wrong in "--seed abc" "--seed -1" "--seeds 1x" "--days x" \
		"--jobs no" "--keep zz" "--faults some" "--shrink nan" \
		"--nothing" "7"; do
		# shellcheck disable=SC2086
		said=$("$sim" $wrong 2>&1)
		[ $? -eq 64 ] && [ -n "$said" ] ||
			echo "$wrong is not refused with status 64: $said"
	done)"
report "one seed is one course of events" "$(
	"$sim" --seed 7 --days 0.01 --trace | cksum >sim.once
	"$sim" --seed 7 --days 0.01 --trace | cksum | diff sim.once - >&2 ||
		echo "two runs of seed 7 differ"
	rm -f sim.once)"
report "one course on any machine" "$(
	cd / && course()
	{
		env - "$@" "$OLDPWD/$sim" --seed 9 --days 0.002 --trace | cksum
	}
	course >"$OLDPWD/sim.once"
	course TZ=Asia/Tokyo LC_ALL=C.UTF-8 HOME=/nowhere LANG=de_DE.UTF-8 \
		MALLOC_PERTURB_=85 MALLOC_ARENA_MAX=1 \
		RINGTICK_MODES=direct PADDING="$(seq 3000)" |
		diff "$OLDPWD/sim.once" - >&2 ||
		echo "it differs with the environment"
	course setarch -R 2>&1 | grep -v "$stacks" |
		diff "$OLDPWD/sim.once" - >&2 ||
		echo "it differs with the addresses"
	rm -f "$OLDPWD/sim.once")"
report "fixed seeds" "$(run --seed 1 --seeds $fixed --days 0.002)"
# A failure says the command that repeats it.
report "new seeds from $new_seed" "$(
	run --seed "$new_seed" --seeds $new --days 0.002)"
while read -r seed days faults why; do
	report "$why" "$(run --seed "$seed" --days "$days" --faults "$faults")"
done <<END
$(grep -v '^#' "$seeds")
END

echo "1..$tests_cnt"
exit $failed

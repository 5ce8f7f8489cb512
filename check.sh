#!/bin/bash
# Installs what the tests need, builds with gcc, with sanitizers and with
# clang, and runs all tests.  Everything it writes is in build/.
#
#   ./check.sh
#
# tests/fuzz/run.sh fuzzes for longer than the few seconds here, and
# SIM_SECONDS=3600 tests/simulation.sh simulates for longer, both with what this
# has built.
set -u
cd "$(dirname "$0")" || exit 1
. build-aux/common.sh

logs=build/logs
mkdir -p $logs
counts=$logs/counts # a line for each stage: passed, failed, skipped
: >$counts

# Sums up what Automake's test driver and pytest say in a log.
count_log()
{
	awk '
	/^# (PASS|XFAIL): /		{ pass += $3 }
	/^# (FAIL|XPASS|ERROR): /	{ fail += $3 }
	/^# SKIP: /			{ skip += $3 }
	/^=* ?[0-9]+ [a-z]+.* in [0-9.]+s/ {
		for (i = 2; i <= NF; i++) {
			if ($i ~ /^passed/)
				pass += $(i - 1)
			if ($i ~ /^(failed|error)/)
				fail += $(i - 1)
			if ($i ~ /^skipped/)
				skip += $(i - 1)
		}
	}
	END { print pass + 0, fail + 0, skip + 0 }' "$1"
}

# stage NAME COMMAND...: runs it with its output in a log, says how long it
# took, and shows the log's end where it failed.  A stage that reports no tests
# of its own counts as one.  What it says comes in one piece: stages run beside
# each other.
stage()
{
	local name=$1 log=$logs/$1.log start=$SECONDS pass fail skip status
	shift
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	read -r pass fail skip < <(count_log "$log")
	if [ $status -ne 0 ] && [ "$fail" = 0 ]; then
		fail=1
	elif [ "$pass $fail $skip" = "0 0 0" ]; then
		pass=1
	fi
	echo "$pass $fail $skip" >>$counts
	if [ $status -eq 0 ]; then
		printf '%-14s ok      %4d s%s\n' "$name" $((SECONDS - start)) \
			"$(sed -n 's/^[a-z_ ]*\(skipped: .*\)/  \1/p' "$log")"
		return 0
	fi
	printf '%-14s FAILED  %4d s  from %s:\n%s\n' \
		"$name" $((SECONDS - start)) "$log" "$({
		grep -E '^(FAIL|ERROR|FAILED)[: ]|(error|warning): ' "$log" |
			sort -u | head -n 60
		echo ...
		grep -v '^PASS: ' "$log" | tail -n 40
	} | cut -c 1-240 | sed 's/^/    /')"
	return 1
}

finish()
{
	local passed failed skipped
	read -r passed failed skipped < <(awk '
	{ pass += $1; fail += $2; skip += $3 }
	END { print pass + 0, fail + 0, skip + 0 }' $counts)
	echo "all            $([ "$failed" -eq 0 ] && echo 'ok    ' ||
		echo 'FAILED')  $(printf %4d $SECONDS) s"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

# ---- what the stages run ----

install_needs()
{
	need "${BUILD_NEEDS[@]}" libcmocka-dev \
		clang:clang libclang-rt-dev ccache:ccache \
		python3:python3 pytest-3:python3-pytest python3-pytest-xdist \
		python3-fusepy \
		node:nodejs npm:npm \
		strace:strace valgrind:valgrind xz:xz-utils ca-certificates \
		systemd-analyze:systemd groff:groff-base \
		libpam-modules db_load:db-util \
		hitch haproxy openssl:openssl \
		systemd-nspawn:systemd-container
}

unit_tests()
{
	make -C "$1" -j2 check && return
	# the log of each test program that failed, after make's own words
	grep -lE '^:test-result: (FAIL|ERROR)' "$1"/tests/*.trs \
		"$1"/tests/unit/*/*.trs 2>/dev/null |
		while read -r trs; do
			echo "---- ${trs%.trs}"
			grep -vE '^(ok|PASS)' "${trs%.trs}.log"
		done
	return 1
}

# The units in their final form, with the programs in place; the manual.
units()
{
	local root=$PWD/build/root
	rm -rf "$root"
	make -C build/plain install DESTDIR="$root" >/dev/null || return 1
	grep -q '^	directory = "/var/lib/ringtick";' \
		"$root/usr/local/etc/ringtick/ringtick.conf" || {
		echo "the installed configuration keeps no journal"
		return 1
	}
	local units=$root/usr/local/lib/systemd/system
	sed "s|/usr/local/sbin|$root&|" -i "$units/ringtick.service" &&
	systemd-analyze verify --man=no "$units"/ringtick.* &&
	# in tenths: exposure below 3.0
	systemd-analyze security --offline=yes --threshold=29 --no-pager \
		"$units/ringtick.service" || return 1
	! groff -man -Tutf8 -ww -z "$root"/usr/local/share/man/man[158]/* 2>&1 |
		grep .
}

# node-q, out of the way of the sources.
node_modules()
{
	mkdir -p build/node && cp tests/system/node/package*.json build/node &&
	npm ci --prefix build/node --no-audit --no-fund
}

# The daemon of a build as its clients see it, in the engine modes.
system()
{
	RINGTICK_MODES=$2 timeout -k 10 1500 make -s -C "$1" check-system \
		PYTESTFLAGS="-q --tb=short --maxfail=25" PYTESTPARALLEL="-n 4"
}

# What the tarball has is what is looked at: compiled as build/plain was, so
# from the cache, and without the tests that look at the sources.
distcheck()
{
	make -C build/plain -j2 distcheck TESTS='$(UNIT_TESTS) $(FUZZ_TESTS)' \
		DISTCHECK_CONFIGURE_FLAGS="--enable-werror CC='ccache gcc'"
}

# The simulation for longer times, of new seeds, and for a whole day; and
# whether it finds some of the mistakes that are made on purpose.
simulation()
{
	local sim=build/plain/tests/sim/ringtick-sim seed
	seed=$(date +%s%N | cut -c 1-16)
	$sim --seed "$seed" --seeds 12 --days 0.02 --jobs 2 &&
	$sim --seed 1 --days 1 &&
	CC="ccache gcc" tests/sim/mutations.py build --some 20
}

# Gives way to the system tests where both want a CPU.
behind()
{
	renice -n 5 $BASHPID >/dev/null
}

# ---- the stages ----

# The system tests wait much of their time: what only computes runs beside
# them.
export PYTHONPYCACHEPREFIX=$PWD/build/pycache
# A file is compiled once, whichever folder and however often.
export CCACHE_DIR=$PWD/build/ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

stage packages install_needs || finish
stage build build build/plain --enable-werror CC="ccache gcc" || finish

{
	behind
	stage sanitizers build build/sanitizers --enable-werror \
		--enable-sanitizers CC="ccache gcc"
	status=$?
	stage distcheck distcheck
	stage clang build_fuzzers && stage fuzz tests/fuzz/run.sh
	exit $status
} &
lane=$!
stage unit unit_tests build/plain
stage units units
stage node node_modules
export NODE_PATH_RINGTICK=$PWD/build/node/node_modules
stage system system build/plain "sqpoll direct"
wait $lane || finish

stage systemd tests/systemd/run.sh build/plain &
{
	behind
	stage unit-san unit_tests build/sanitizers
	stage simulation simulation
} &
# The modes differ in the engine only: once is enough here, and a third of what
# is done again and again.
export RINGTICK_JOINS=12 RINGTICK_KILLS=24 RINGTICK_JOIN_SECONDS=1 \
	RINGTICK_STEPS=40
stage system-san system build/sanitizers direct
wait
finish

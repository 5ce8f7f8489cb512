#!/bin/bash
# What the journal costs and how fast it is read back, as Markdown tables:
#
#   throughput  what one feed at full speed gets through to one subscriber,
#               and the daemon's CPU time, with the journal off and on
#   latency     from the time at which the feed's schedule has a message to its
#               receipt, at a rate far below the limit: journal off, on, and
#               with publish.after = "journal"
#   recovery    the check of a journal at start, in bytes of the file a second,
#               against cat FILE >/dev/null
#   ways        a record's share of a write, gathered or copied:
#               bench/journal_write_ways.c
#
#   bench/journal_cost.sh BUILD_DIR [DIRECTORY]
#
# Takes two and a half minutes, and up to 0.5 GB in a folder of its own in
# DIRECTORY (/tmp).  A figure is the median of three rounds or more whose passes
# take turns; still, the machine's noise is in it: read the ratios.
set -u
LC_ALL=C
export LC_ALL

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
build=$(realpath "$1") || exit 1
scratch=$(mktemp -d "$(realpath "${2:-/tmp}")/ringtick-bench.XXXXXX") || exit 1
cd "$(dirname "$0")/.." || exit 1
log=$scratch/log
results=$scratch/results	# lines "KEY VALUE"

stop()
{
	local pid

	trap - EXIT INT TERM
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null
	done
	wait
	rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die()	# SENTENCE [FILE to show the end of]
{
	echo "bench/journal_cost.sh: $1" >&2
	[ $# -lt 2 ] || tail -n 5 "$2" >&2
	exit 1
}

# ---- figures ----

field()	# NAME FILE [LINES_WITH]: what NAME= is in the last such line
{
	sed -n "/${3-}/s/.* $1=\([^ ]*\).*/\1/p" "$2" | tail -n 1
}

calculate()	# FORMAT EXPRESSION
{
	awk "BEGIN { printf \"$1\", $2 }"
}

note()	# KEY VALUE
{
	echo "$*" >>"$results"
}

median()	# KEY
{
	awk -v key="$1" '$1 == key { print $2 }' "$results" | sort -g |
		awk '{ v[NR] = $1 }
		END { print NR ? v[int((NR + 1) / 2)] : "nan" }'
}

now_us()
{
	echo "${EPOCHREALTIME/./}"
}

# ---- one pass ----

config()	# off|on|after
{
	cat <<-EOT
	listen = { port = 0; unix_socket = false; };
	schema = "$PWD/etc/sym.q";
	ring = { size = "64M"; };
	slow = { policy = "block"; block_limit = "60s"; };
	EOT
	[ "$1" = off ] || echo "journal = { directory = \"$scratch\"; };"
	[ "$1" != after ] || echo 'publish = { after = "journal"; };'
}

await()	# TEXT in the daemon's log; PROCESS that brings it, FILE of its words
{
	local i

	for ((i = 0; i < 500; i++)); do
		grep -q "$1" "$log" && return
		kill -0 "$2" 2>/dev/null || break
		sleep 0.02
	done
	die "no $1 in the daemon's log; the last words are" "$3"
}

start_daemon()	# off|on|after
{
	config "$1" >"$scratch/conf"
	: >"$log"
	"$build/ringtickd" -c "$scratch/conf" 2>"$log" &
	daemon=$!
	await event=ready "$daemon" "$log"
	port=$(field port "$log" event=ready)
}

stop_daemon()
{
	kill "$daemon"
	wait "$daemon" || die "the daemon failed; its log ends with" "$log"
}

cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$daemon/stat"
}

# From a feed to a subscriber, all of it.  Leaves the subscriber's account in
# $scratch/sub, the daemon's CPU time in $ticks.
pass()	# off|on|after SIZE COUNT FEED_OPTION...
{
	local feed sub

	rm -f "$scratch"/sym*
	start_daemon "$1"
	"$build/ringtick" sub -p "$port" -t trade --rates --latency \
		--count "$3" --seconds 60 >"$scratch/sub" 2>&1 &
	sub=$!
	await event=subscribe "$sub" "$scratch/sub"
	ticks=$(cpu_ticks)
	"$build/ringtick" feed -p "$port" --size "$2" --count "$3" "${@:4}" \
		>"$scratch/feed" 2>&1 &
	feed=$!
	wait "$feed" || die "the feed failed; it says" "$scratch/feed"
	wait "$sub" || die "the subscriber failed; it says" "$scratch/sub"
	ticks=$(($(cpu_ticks) - ticks))
	[ "$(field messages "$scratch/sub" ^total)" = "$3" ] ||
		die "of $3 messages not all came" "$scratch/sub"
	stop_daemon
}

# ---- what is measured ----

throughput()	# off|on SIZE COUNT
{
	local seconds bytes

	pass "$@" --rate 0
	seconds=$(field seconds "$scratch/sub" ^total)
	bytes=$(field bytes "$scratch/sub" ^total)
	note "$1-$2-rate" "$(field mb_s "$scratch/sub" ^total)"
	note "$1-$2-cpu" "$(calculate %.3f \
		"$ticks / $(getconf CLK_TCK) / ($bytes / 1e9)")"
	[ "$1" = off ] || note "journalled-$2" "$(calculate %.1f \
		"$(stat -c %s "$scratch"/sym????.??.??) / 1e6 / $seconds")"
}

recovery()	# SIZE; of the journal that the pass before has left
{
	local file bytes start_us

	file=$(ls "$scratch"/sym????.??.??)
	bytes=$(stat -c %s "$file")
	cat "$file" >/dev/null	# what is measured is not the disk
	start_us=$(now_us)
	cat "$file" >/dev/null
	note "cat-$1" "$(calculate %.2f \
		"$bytes / 1e3 / ($(now_us) - $start_us)")"
	start_daemon on
	note "check-$1" "$(calculate %.2f \
		"$(field mb_s "$log" event=journal_recovered) / 1e3")"
	stop_daemon
}

latency()	# off|on|after SIZE RATE; for one second
{
	local percentile

	pass "$@" --rate "$3" --stamp
	for percentile in p50 p99; do
		note "$1-$2-$percentile" \
			"$(field ${percentile}_us "$scratch/sub" ^total)"
	done
}

ways()
{
	make -s -C "$build" bench/journal_write_ways >&2 ||
		die "cannot build bench/journal_write_ways.c"
	"$build/bench/journal_write_ways" "$scratch/file" 256 &
	wait $! || die "bench/journal_write_ways.c failed"
}

# ---- tables ----

heading()	# COLUMN...
{
	printf '\n|'
	printf ' %s |' "$@"
	printf '\n|'
	printf -- '---|%.0s' "$@"
	printf '\n'
}

ratio()	# KEY KEY
{
	calculate %.2f "$(median "$1") / $(median "$2")"
}

sizes=(100 1024 16384 262144)
counts=(1200000 300000 25000 1500)
rates=(20000 20000 2000 200)

echo "$(nproc) cores, Linux $(uname -r), journals on" \
	"$(df --output=fstype "$scratch" | tail -n 1)," \
	"load before: $(cut -d' ' -f1 /proc/loadavg)." \
	"Medians on a machine that may do other work: read the ratios."

heading message "off, MB/s received" on "on / off" "journalled, MB/s" \
	"CPU s per GB off" on
for i in "${!sizes[@]}"; do
	s=${sizes[i]}
	for _ in 1 2 3; do
		throughput off "$s" "${counts[i]}"
		throughput on "$s" "${counts[i]}"
		recovery "$s"
	done
	printf '| %d B | %.0f | %.0f | %.2f | %.0f | %.2f | %.2f |\n' "$s" \
		"$(median "off-$s-rate")" "$(median "on-$s-rate")" \
		"$(ratio "on-$s-rate" "off-$s-rate")" \
		"$(median "journalled-$s")" \
		"$(median "off-$s-cpu")" "$(median "on-$s-cpu")"
done

heading message "a second" latency "off, µs" on "on / off" \
	'after = "journal"' "after / off"
for i in "${!sizes[@]}"; do
	s=${sizes[i]}
	for _ in 1 2 3 4 5; do
		for mode in off on after; do
			latency "$mode" "$s" "${rates[i]}"
		done
	done
	for p in p50 p99; do
		printf '| %d B | %d | %s | %.0f | %.0f | %.2f | %.0f | %.2f |\n' \
			"$s" "${rates[i]}" "$p" "$(median "off-$s-$p")" \
			"$(median "on-$s-$p")" \
			"$(ratio "on-$s-$p" "off-$s-$p")" \
			"$(median "after-$s-$p")" \
			"$(ratio "after-$s-$p" "off-$s-$p")"
	done
done

heading message "cat, GB/s" "check at start, GB/s" "check / cat"
for s in "${sizes[@]}"; do
	printf '| %d B | %.1f | %.1f | %.2f |\n' "$s" "$(median "cat-$s")" \
		"$(median "check-$s")" "$(ratio "check-$s" "cat-$s")"
done

echo
ways

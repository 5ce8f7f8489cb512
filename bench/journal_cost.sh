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

# shellcheck source=bench/with_daemon.sh
. "$(dirname "$(realpath "$0")")/with_daemon.sh"

subscription=(-t trade)

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

cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$daemon/stat"
}

# A transfer with the CPU time of the daemon, in $ticks.
pass()	# off|on|after SIZE COUNT FEED_OPTION...
{
	rm -f "$scratch"/sym*
	start_daemon "$1"
	ticks=$(cpu_ticks)
	transfer bench "$3" --size "$2" "${@:4}"
	ticks=$(($(cpu_ticks) - ticks))
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
	note_cat "cat-$1" "$scratch"/sym????.??.??
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

sizes=(100 1024 16384 262144)
counts=(1200000 300000 25000 1500)
rates=(20000 20000 2000 200)

conditions
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

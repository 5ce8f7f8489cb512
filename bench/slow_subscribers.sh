#!/bin/bash
# What slow subscribers cost, with policy "spill", as Markdown tables:
#
#   neighbours  what one feed gets through to one fast subscriber, and how late,
#               beside others that are
#               stuck    read nothing, and have left the ring
#               slow     read the journal from its beginning, 1 MB/s each
#               joining  read it at full speed, and then again, and again
#               live     are in the ring, at full speed, for comparison
#   catching up how fast one subscriber is served from the journal, against
#               cat FILE >/dev/null, and against the same messages out of the
#               ring
#   leaving     from the leave mark until the ring has its space back
#
#   bench/slow_subscribers.sh BUILD_DIR [DIRECTORY]
#
# Takes two and a half minutes, and up to 1 GB in a folder of its own in
# DIRECTORY (/tmp).  A figure is the median of three rounds or more whose passes
# take turns; still, the machine's noise is in it, and many neighbours are many
# processes: read the ratios, on a machine with cores to spare.
set -u

# shellcheck source=bench/with_daemon.sh
. "$(dirname "$(realpath "$0")")/with_daemon.sh"

subscription=()

maximum()	# KEY
{
	values "$1" | tail -n 1
}

# ---- the daemon ----

# Who is measured has policy "block": the feed is held to its speed.
config()	# RING
{
	cat <<-EOT
	listen = { port = 0; unix_socket = false; };
	schema = "$PWD/etc/sym.q";
	ring = { size = "$1"; };
	slow = {
		return_percent = 5;
		block_limit = "60s";
	};
	auth = { rights = (
		{ user = "rate"; policy = "block"; },
		{ user = "latency"; policy = "block"; },
		{ user = "live"; policy = "block"; } );
	};
	journal = { directory = "$scratch"; };
	log = { report = "100ms"; };
	stop = { timeout = "10s"; };
	EOT
}

start_with_empty_journal()	# RING
{
	rm -f "$scratch"/sym*
	start_daemon "$1"
	filled=0
	neighbours=()
}

# And all its clients: one that does not read would not see that it is gone.
stop_all()
{
	[ ${#neighbours[@]} = 0 ] || kill "${neighbours[@]}" 2>/dev/null
	stop_daemon
	wait
}

# Publishes as fast as it can, until all is in the journal.
fill()	# SIZE COUNT
{
	"$build/ringtick" feed -p "$port" --size "$1" --count "$2" --rate 0 \
		>"$scratch/feed" 2>&1 || die "the feed failed" "$scratch/feed"
	filled=$((filled + $2))
	await " journal_records=$filled " "$daemon" "$log"
}

# ---- subscribers ----

# A connection of its own, with its request sent, as descriptor 3: what reads
# it need not look at what it reads.
open_stream()	# USER REQUEST
{
	local len

	printf -v len '\\%03o' $((14 + ${#2})) ${#2}
	{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return
	printf "%s\3\0\1\1\0\0${len:0:4}\0\0\0\12\0${len:4}\0\0\0%s" "$@" >&3
}

drain()	# BYTES
{
	dd <&3 of=/dev/null bs=256K count="$1" iflag=count_bytes,fullblock \
		status=none 2>/dev/null
}

join_again_and_again()	# BYTES
{
	while open_stream joining '.ringtick.subfrom[`;`;0]'; do
		drain "$1"
	done
}

follow()
{
	open_stream live '.u.sub[`;`]' || return
	exec dd <&3 of=/dev/null bs=256K status=none 2>/dev/null
}

neighbour()	# KIND; as the process that it is called in
{
	case $1 in
	stuck)	exec "$build/ringtick" sub -p "$port" --pause ;;
	slow)	exec "$build/ringtick" sub -p "$port" --from 0 --slow 1000000 ;;
	joining)
		join_again_and_again "$(field in_bytes "$log" event=report)" ;;
	live)	follow ;;
	esac >>"$scratch/neighbours" 2>&1
}

start_neighbours()	# KIND COUNT
{
	local i

	for ((i = 0; i < $2; i++)); do
		neighbour "$1" &
		neighbours+=($!)
	done
}

# The longest way out of the ring of each report in which somebody left it.
note_leaving()	# KEY
{
	local us

	for us in $(awk '/event=report/ && match($0, / spills=[0-9]+/) {
		spills = substr($0, RSTART + 8, RLENGTH - 8)
		match($0, / leave_max_us=[0-9]+/)
		if (spills > before + 0)
			print substr($0, RSTART + 14, RLENGTH - 14)
		before = spills
	}' "$log"); do
		note "$1" "$us"
	done
}

# ---- what is measured ----

beside()	# KIND COUNT
{
	local key=$1-$2 there=" behind=$2 " start p

	[ "$1" != live ] || there=" consumers=$2 "
	start_with_empty_journal 64M
	if [ "$1" = stuck ]; then
		start_neighbours "$1" "$2"
		await " consumers=$2 " "$daemon" "$log"
	fi
	fill 1024 100000
	cat "$scratch"/sym????.??.?? >/dev/null	# what counts is not the disk
	[ "$1" = stuck ] || start_neighbours "$1" "$2"
	await "$there" "$daemon" "$log"
	start=$(wc -l <"$log")
	transfer latency 15000 --size 1024 --rate 20000 --stamp
	for p in p50 p99; do
		note "$key-$p" "$(field ${p}_us "$scratch/sub" ^total)"
	done
	transfer rate 150000 --size 1024 --rate 0
	note "$key-rate" "$(field mb_s "$scratch/sub" ^total)"
	note "$key-behind" "$(tail -n "+$start" "$log" |
		sed -n 's/.*event=report.* behind=\([0-9]*\).*/\1/p' |
		awk '{ n += $1 } END { printf "%.1f", n / NR }')"
	stop_all
	[ "$1" != stuck ] || note_leaving "leaving-$2-0"
}

# GB/s of what is to be read from descriptor 3.
note_drain()	# KEY BYTES
{
	local start_us

	start_us=$(now_us)
	drain "$2"
	note "$1" "$(calculate %.3f "$2 / 1e3 / ($(now_us) - $start_us)")"
	exec 3<&-
}

catching_up()	# SIZE COUNT
{
	local before=0 bytes file file_bytes first=0

	start_with_empty_journal 128M
	file=$scratch/$(cd "$scratch" && echo sym????.??.??)
	for _ in 1 2 3 4 5; do
		open_stream live '.u.sub[`;`]'
		await " consumers=1 " "$daemon" "$log"
		fill "$1" "$2"
		bytes=$(field in_bytes "$log" event=report)
		note_drain "ring-$1" $((bytes - before))

		file_bytes=$(stat -c %s "$file")
		note_cat "cat-$1" "$file"

		open_stream late ".ringtick.subfrom[\`;\`;$first]"
		note_drain "journal-$1" $((bytes - before))
		before=$bytes
		first=$filled
	done
	note "share-$1" "$(calculate %.4f "$file_bytes / $bytes")"
	stop_all
}

leaving()	# BUSY
{
	local i

	start_with_empty_journal 4M
	start_neighbours live "$1"
	await " consumers=$1 " "$daemon" "$log"
	"$build/ringtick" feed -p "$port" --size 1024 --rate 20000 \
		>"$scratch/feed" 2>&1 &
	neighbours+=($!)
	for i in 1 2 3 4 5; do
		start_neighbours stuck 1
		await " behind=$i " "$daemon" "$log"
	done
	stop_all
	note_leaving "leaving-1-$1"
}

# ---- tables ----

conditions

cases=(none-0 stuck-1 stuck-10 stuck-50 slow-1 slow-10 slow-50
	joining-1 joining-10 joining-50 live-1 live-10)
for _ in 1 2 3; do
	for c in "${cases[@]}"; do
		beside "${c%-*}" "${c#*-}"
	done
done
heading neighbours "behind, mean" "MB/s received" "to none" \
	"p50, µs" "to none" "p99, µs" "to none"
for c in "${cases[@]}"; do
	printf '| %s %s | %s | %.0f | %.2f | %.0f | %.2f | %.0f | %.2f |\n' \
		"${c#*-}" "${c%-*}" "$(median "$c-behind")" \
		"$(median "$c-rate")" "$(ratio "$c-rate" none-0-rate)" \
		"$(median "$c-p50")" "$(ratio "$c-p50" none-0-p50)" \
		"$(median "$c-p99")" "$(ratio "$c-p99" none-0-p99)"
done

heading message "cat, GB/s" "catching up, GB/s of the file" "/ cat" \
	"GB/s as sent" "out of the ring, GB/s" "journal / ring"
for c in 100-450000 16384-4000; do
	s=${c%-*}
	catching_up "$s" "${c#*-}"
	of_file=$(calculate %.3f "$(median "journal-$s") * $(median "share-$s")")
	printf '| %d B | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n' "$s" \
		"$(median "cat-$s")" "$of_file" \
		"$(calculate %.2f "$of_file / $(median "cat-$s")")" \
		"$(median "journal-$s")" "$(median "ring-$s")" \
		"$(ratio "journal-$s" "ring-$s")"
done

leaving 0
leaving 64
heading "leave at once" "beside busy ones" "µs to leave, median" longest
for c in 1-0 10-0 50-0 1-64; do
	printf '| %d | %d | %.0f | %.0f |\n' "${c%-*}" "${c#*-}" \
		"$(median "leaving-$c")" "$(maximum "leaving-$c")"
done

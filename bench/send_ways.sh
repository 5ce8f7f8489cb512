#!/bin/bash
# Compares the ways to send from one ring to many sockets, as Markdown tables:
# without the daemon, one writer and one process that reads (bench/send_ways.c).
#
#   bench/send_ways.sh BUILD_DIR [PART]...
#
#   ways     send(2), io_uring's send, write_fixed, send_zc, SQPOLL threads: over
#            loopback
#   remote   the same over a veth pair between two network namespaces
#   subset   every second message: vectored fixed writes, or a copy and send
#   huge     4 KiB pages and huge pages
#   spans    most bytes of one write, 64K to 1M
#   buffers  SO_SNDBUF and TCP_NOTSENT_LOWAT
#   napi     round trips: waiting, with NAPI busy polling, spinning
#
# Needs root: it makes two network namespaces, and for `huge` raises
# vm.nr_hugepages; at the end, also after an error, both are as before.  ethtool
# is needed for one row of `napi`.  All parts take 8 minutes; $REPS is the number
# of repetitions (5), in each of which all ways take turns.
#
# Congestion control is reno.  The first row of a table is absolute: GB/s in all,
# CPU seconds per GB of the writer, and of writer and readers together.  The others
# are ratios to it, medians of the pairs of each repetition.
set -u
LC_ALL=C
export LC_ALL

# shellcheck source=bench/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
	usage
fi
[ "$(id -u)" = 0 ] || die "needs root for its network namespaces"
make -s -C "$1" bench/send_ways >&2 || exit 1
program=$(realpath "$1")/bench/send_ways
shift
reps=${REPS:-5}
results=$(mktemp)	# lines "ROW COLUMN REPETITION FIGURE..."
near=ringtick-$$-near
far=ringtick-$$-far
huge_before=$(cat /proc/sys/vm/nr_hugepages)

stop()
{
	ip netns del "$near" 2>/dev/null
	ip netns del "$far" 2>/dev/null
	echo "$huge_before" >/proc/sys/vm/nr_hugepages
	rm -f "$results"
}
stop_at_exit

make_namespaces()
{
	ip netns add "$near" && ip netns add "$far" &&
		ip link add near netns "$near" type veth \
			peer name far netns "$far" &&
		ip -n "$near" addr add 10.0.0.1/24 dev near &&
		ip -n "$far" addr add 10.0.0.2/24 dev far &&
		ip -n "$near" link set near up &&
		ip -n "$far" link set far up &&
		ip -n "$near" link set lo up
}

# ---- measuring ----

remote=()	# options that put the readers into the other namespace
across=(-a 10.0.0.1 -x "/run/netns/$far")

run()	# ROW COLUMN REPETITION OPTION...: notes what the program prints
{
	local figures status

	figures=$(ip netns exec "$near" "$program" -C reno -t 0.3 \
		"${remote[@]}" "${@:4}")
	status=$?
	case $status in
	0)	echo "$1 $2 $3 $figures" >>"$results" ;;
	77)	return ;;
	*)	die "send_ways ${*:4}: exit status $status" ;;
	esac
}

# Rows are "NAME OPTION...", columns the numbers of sockets.
measure()	# COLUMNS ROW...
{
	local columns=$1 n row name options rep

	shift
	: >"$results"
	for ((rep = 1; rep <= reps; rep++)); do
		for n in $columns; do
			for row in "$@"; do
				read -r name options <<<"$row"
				# shellcheck disable=SC2086
				run "$name" "$n" "$rep" -n "$n" $options
			done
		done
	done
	table "$columns" "${@%% *}"
}

table()	# COLUMNS NAME...
{
	local columns=$1

	shift
	awk -v columns="$columns" -v names="$*" -v reps="$reps" '
	function median(values, n,    i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && values[j] < values[j - 1]; j--) {
				t = values[j]
				values[j] = values[j - 1]
				values[j - 1] = t
			}
		return n ? values[int((n + 1) / 2)] : "nan"
	}
	# a figure of a cell; as a ratio to the first row, or as it is
	function middle(i, name, column, base,    rep, n, values) {
		n = 0
		for (rep = 1; rep <= reps; rep++)
			if ((name, column, rep, i) in v)
				values[++n] = v[name, column, rep, i] / \
					(base ? v[base, column, rep, i] : 1)
		return median(values, n)
	}
	function cell(name, column, base) {
		return sprintf(base ? " %.2f, %.2f, %.2f |" : \
				" %.1f GB/s, %.3f, %.3f s/GB |",
			middle(4, name, column, base),
			middle(5, name, column, base),
			middle(7, name, column, base))
	}
	{ for (i = 4; i <= 7; i++)
		v[$1, $2, $3, i] = $i
	  copied[$1] = $8 > 0 ? $8 : copied[$1] }
	END {
		columns_n = split(columns, column, " ")
		names_n = split(names, name, " ")
		head = "| sockets |"
		line = "|---|"
		for (c = 1; c <= columns_n; c++) {
			head = head " " column[c] " |"
			line = line "---:|"
		}
		print "\n" head "\n" line
		for (r = 1; r <= names_n; r++) {
			row = "| " name[r] " |"
			for (c = 1; c <= columns_n; c++)
				row = row cell(name[r], column[c],
					r == 1 ? "" : name[1])
			print row
		}
		for (way in copied)
			if (copied[way] > 0)
				printf "\n%s: %.0f %% of the notifications " \
					"say that the kernel copied.\n",
					way, 100 * copied[way]
	}' "$results"
}

# ---- parts ----

ways=("send -m send" "send(2) -m call" "write_fixed -m fixed" "send_zc -m zc"
	"sqpoll,send -m sqpoll-send" "sqpoll,write_fixed -m sqpoll"
	"sqpoll,two_rings -m sqpoll2" "send,not_pinned -m send -F"
	"sqpoll,write_fixed,not_pinned -m sqpoll -F"
	"sqpoll,two_rings,not_pinned -m sqpoll2 -F")

part_ways()
{
	printf '\n## Ways, loopback\n'
	measure "1 4 16 64" "${ways[@]}"
}

part_remote()
{
	printf '\n## Ways, veth pair\n'
	remote=("${across[@]}")
	measure "1 4 16" "${ways[@]}"
	remote=()
}

part_subset()
{
	local size

	for size in 128 1024 16384; do
		printf '\n## Every second message of %s bytes\n' "$size"
		measure "1 4 16" "copied -m copied -c $size" \
			"vectored -m vectored -c $size"
	done
}

part_huge()
{
	printf '\n## Huge pages\n'
	echo $((huge_before + 80)) >/proc/sys/vm/nr_hugepages
	measure "1 4 16" "send -m send" "send,huge -m send -H" \
		"write_fixed -m fixed" "write_fixed,huge -m fixed -H"
	echo "$huge_before" >/proc/sys/vm/nr_hugepages
}

part_spans()
{
	local way size rows=()

	for way in send fixed; do
		for size in 256 64 128 512 1024; do
			rows+=("$way,${size}K -m $way -s $((size << 10))")
		done
	done
	printf '\n## Spans\n'
	measure "1 4 16 64" "${rows[@]}"
}

# The kernel doubles SO_SNDBUF; rows have what connections.send_buffer would say.
part_buffers()
{
	local size rows=("1M -m send -B $((512 << 10))")

	for size in 128 256 512 4096; do
		rows+=("${size}K -m send -B $((size << 9))")
	done
	for size in 16 64 256; do
		rows+=("1M,lowat_${size}K -m send -L $((size << 10))")
	done
	printf '\n## SO_SNDBUF and TCP_NOTSENT_LOWAT\n'
	measure "1 4 16 64" "${rows[@]}"
}

pings()	# ROW
{
	local rep

	for ((rep = 1; rep <= reps; rep++)); do
		run "$1" off "$rep" -m ping
		run "$1" on "$rep" -m ping -P 50
		run "$1" spins "$rep" -m ping -S
	done
}

# A veth device has a NAPI of its own with GRO, and uses it for TCP only where the
# sender does not leave segmentation to it.
offload()	# GRO TSO: on or off
{
	ip netns exec "$near" ethtool -K near gro "$1" tso "$2" &&
		ip netns exec "$far" ethtool -K far gro "$1" tso "$2"
}

part_napi()
{
	printf '\n## NAPI busy polling: 100 bytes there and back, us\n'
	: >"$results"
	pings loopback
	remote=("${across[@]}")
	pings veth
	if command -v ethtool >/dev/null && offload on off; then
		pings veth,gro,no_tso
		offload off on
	fi
	remote=()
	printf '\n| | polling | p50 | p99 | NAPI id |\n|---|---|---:|---:|---:|\n'
	sort -k1,2 -k4g "$results" | awk -v half=$(((reps + 1) / 2)) '
	{ n = $1 == row && $2 == polling ? n + 1 : 1; row = $1; polling = $2 }
	n == half { printf "| %s | %s | %s | %s | %s |\n", $1, $2, $4, $5, $6 }'
}

make_namespaces || die "cannot make the network namespaces"
machine
echo "Medians of $reps."
[ $# -gt 0 ] || set -- ways remote subset huge spans buffers napi
for part; do
	declare -F "part_$part" >/dev/null || die "no part $part"
	"part_$part"
done
